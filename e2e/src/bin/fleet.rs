//! A fleet on one machine: three relays, Redis and a load balancer, each in a network namespace of its own, and what a
//! client sees of them. All of it is gone when this program ends, however that is.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};

use edgerelay_e2e::binary;
use edgerelay_e2e::credential::{Credential, unix_seconds};
use edgerelay_e2e::fleet::{Balancer, Fleet, Region, Source, Spread};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::relay::SECRET;
use edgerelay_e2e::transport::Transport;
use testbed::Namespace;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Each node listens there in its own namespace.
const METRICS: &str = "http://127.0.0.1:9090/metrics";

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    // From here on ^C is waited for, so that nothing is left behind by it.
    let mut interrupt = {
        let _within = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    println!("Building the relay and starting three of them ...");
    let region = Region::new();
    let fleet = Fleet::start(&region);
    let balancer = Balancer::new(&region, Spread::EachFlow, Source::Kept);
    tell(&region, &fleet)?;
    let tried = try_it(&region, &fleet, &balancer);
    println!("\nThe balancer has passed {} packets.", balancer.passed());
    if tried? {
        println!("^C ends all of it.");
        runtime.block_on(interrupt.recv());
    }
    Ok(())
}

/// What is where, and how to get there.
fn tell(region: &Region, fleet: &Fleet<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let inside = |namespace: &Namespace| format!("nsenter --net={}", namespace.path());
    writeln!(out, "\nThe load balancer is {} and {}.", region.balancer.v4, region.balancer.v6)?;
    for (number, host) in (1..).zip(region.hosts()) {
        writeln!(out, "Node {number} is {} and {}:", host.v4, host.v6)?;
        writeln!(out, "    {} curl {METRICS}", inside(&host.namespace))?;
    }
    let redis = fleet.redis.address();
    writeln!(out, "Redis is {redis}:")?;
    writeln!(out, "    {} redis-cli -h {} --scan", inside(&region.store), redis.ip())?;
    writeln!(out, "A client, who knows the load balancer alone, is {}.\n", region.network.alice.v4)
}

/// Sends packets through the fleet, over each transport; whether they came back.
fn try_it(region: &Region, fleet: &Fleet<'_>, balancer: &Balancer<'_>) -> Result<bool, Box<dyn Error>> {
    let Credential { username, password } =
        Credential::rest(SECRET, &format!("{}+300:somebody", unix_seconds() + 3600));
    let file = tempfile::NamedTempFile::new()?;
    fs::write(&file, password)?;
    let mut command = region.network.alice.namespace.command(&binary::relay().to_string_lossy());
    command.arg("try");
    for transport in Transport::ALL {
        command.args(["--url", &balancer.url(transport, Family::V4)]);
    }
    command.args(["--username", &username, "--credential-file"]).arg(file.path());
    command.arg("--ca-file").arg(fleet.authority());
    println!("edgerelay try, with the balancer's URLs:");
    Ok(command.status()?.success())
}
