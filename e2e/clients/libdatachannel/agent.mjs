// One libdatachannel peer that may use nothing but its relayed candidate.
//
// Arguments: role (offer or answer), relay address, relay port, username. The password comes as the first line of
// standard input. Each writes its description as a line behind "LOCAL ", the one who answers once it has read the
// other's from standard input. Then COUNT numbered messages go one way and back, one at a time, and both end with
// "DONE n".

import { createInterface } from "node:readline";
import datachannel from "node-datachannel";

const COUNT = 200;

const [role, hostname, port, username] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const line = async () => (await lines.next()).value;
const fail = (why) => {
  console.error(why);
  process.exit(1);
};

const password = await line();
const connection = new datachannel.PeerConnection(role, {
  iceServers: [{ hostname, port: Number(port), username, password, relayType: "TurnUdp" }],
  iceTransportPolicy: "relay",
});
connection.onStateChange((state) => state === "failed" && fail("the peers did not find each other"));
connection.onGatheringStateChange((state) => {
  if (state === "complete") console.log(`LOCAL ${JSON.stringify(connection.localDescription())}`);
});
if (role === "offer") talk(connection.createDataChannel("numbers"));
else connection.onDataChannel(talk);

const remote = JSON.parse(await line());
connection.setRemoteDescription(remote.sdp, remote.type);
// The other one may still wait for the last message: leave when told.
await line();
connection.close();
datachannel.cleanup();
process.exit(0);

function talk(channel) {
  let number = 0;
  const offers = role === "offer";
  const send = () => channel.sendMessage(`message ${number}`);
  channel.onOpen(() => offers && send());
  channel.onMessage((message) => {
    if (message !== `message ${number}`) fail(`expected message ${number}, received ${message}`);
    if (!offers) send();
    number += 1;
    if (number === COUNT) console.log(`DONE ${COUNT}`);
    else if (offers) send();
  });
}
