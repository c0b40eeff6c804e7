"""One aioice agent that may use nothing but its relayed candidate.

Arguments: role (controlling or controlled), relay address, relay port, udp / tcp / tls, username.
The password comes as the first line of standard input. The agent then writes its description as one
JSON line behind "LOCAL ", reads the other agent's from standard input, and passes COUNT numbered
messages: the controlling agent sends, the controlled one sends back. Both end with "DONE n".
"""

import asyncio
import json
import sys

import aioice

COUNT = 50
DEADLINE_SECONDS = 30


async def main(role, host, port, transport, username):
    connection = aioice.Connection(
        ice_controlling=role == "controlling",
        turn_server=(host, int(port)),
        turn_username=username,
        turn_password=sys.stdin.readline().strip(),
        turn_ssl=transport == "tls",
        turn_transport="udp" if transport == "udp" else "tcp",
        transport_policy=aioice.TransportPolicy.RELAY,
    )
    await connection.gather_candidates()
    candidates = [candidate.to_sdp() for candidate in connection.local_candidates]
    description = {
        "ufrag": connection.local_username,
        "password": connection.local_password,
        "candidates": candidates,
    }
    print("LOCAL " + json.dumps(description), flush=True)

    remote = json.loads(await asyncio.to_thread(sys.stdin.readline))
    connection.remote_username = remote["ufrag"]
    connection.remote_password = remote["password"]
    for candidate in remote["candidates"]:
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(candidate))
    await connection.add_remote_candidate(None)
    await connection.connect()

    for number in range(COUNT):
        message = b"message %d" % number
        if role == "controlling":
            await connection.send(message)
        received = await connection.recv()
        if received != message:
            sys.exit(f"expected {message!r}, received {received!r}")
        if role == "controlled":
            await connection.send(received)
    print(f"DONE {COUNT}", flush=True)
    # The other agent may still wait for the last message: leave when told.
    await asyncio.to_thread(sys.stdin.readline)
    await connection.close()


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), DEADLINE_SECONDS))
