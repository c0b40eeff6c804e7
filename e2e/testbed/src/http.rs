//! Asking an HTTP server, as a probe or a scraper does.

use std::net::SocketAddr;
use std::time::Duration;

use ureq::Agent;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The status and the body of the answer to `GET path`.
///
/// # Errors
/// When there is no whole answer in time.
pub fn get(server: SocketAddr, path: &str) -> Result<(u16, String), ureq::Error> {
    // The machine's proxy leads nowhere that a test asks.
    let agent: Agent = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(DEADLINE))
        .build()
        .into();
    let mut answer = agent.get(format!("http://{server}{path}")).call()?;
    Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
}
