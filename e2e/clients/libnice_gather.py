"""An agent of libnice that gathers its candidates, and writes the address of the relayed one behind "RELAYED ".

Arguments: relay address, relay port, udp or tcp, username. The password comes as the first line of standard input.
"""

import ctypes
import sys

import gi

gi.require_version("Nice", "0.1")
from gi.repository import GLib, Nice  # noqa: E402

COMPONENT = 1


def main(host, port, transport, username):
    password = sys.stdin.readline().strip()
    loop = GLib.MainLoop()
    agent = Nice.Agent.new(GLib.MainContext.default(), Nice.Compatibility.RFC5245)
    stream = agent.add_stream(1)
    kind = Nice.RelayType.UDP if transport == "udp" else Nice.RelayType.TCP
    agent.set_relay_info(stream, COMPONENT, host, int(port), username, password, kind)
    # Who gives no function for what is received hears no answers; GObject introspection has no word for that.
    nothing = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6)(lambda *_: None)
    agent_itself, default = ctypes.c_void_p(hash(agent)), None
    ctypes.CDLL("libnice.so.10").nice_agent_attach_recv(agent_itself, stream, COMPONENT, default, nothing, None)
    agent.connect("candidate-gathering-done", lambda *_: loop.quit())
    if not agent.gather_candidates(stream):
        sys.exit("no candidate can be gathered")
    loop.run()
    relayed = [
        candidate
        for candidate in agent.get_local_candidates(stream, COMPONENT)
        if candidate.type == Nice.CandidateType.RELAYED
    ]
    for candidate in relayed:
        print(f"RELAYED {candidate.addr.dup_string()}", flush=True)
    # Leave when told: its allocation goes with it.
    sys.stdin.readline()


main(*sys.argv[1:])
