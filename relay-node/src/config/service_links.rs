//! The variables by which Kubernetes tells every pod of the Services beside it. Those of a Service whose
//! name begins with `edgerelay` look like settings.

use std::net::{IpAddr, SocketAddr};

/// Whether the kubelet would set this variable for a Service: the end of its name and its value say so.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    // SERVICE_HOST, SERVICE_PORT, and SERVICE_PORT_HTTP for a port with that name.
    if let Some((_, rest)) = name.split_once("_SERVICE_") {
        return match rest {
            "HOST" => is_address(value),
            _ => rest.starts_with("PORT") && is_port(value),
        };
    }
    // PORT, PORT_3478_UDP, and of the latter _PROTO, _PORT and _ADDR.
    let Some(at) = name.find("_PORT") else { return false };
    let rest = name.get(at + "_PORT".len()..).unwrap_or_default();
    let parts: Vec<_> = rest.split('_').collect();
    match *parts {
        [""] => is_url(value),
        ["", port, protocol] => is_port(port) && is_protocol(protocol) && is_url(value),
        ["", port, protocol, what] if is_port(port) && is_protocol(protocol) => match what {
            "PROTO" => value.eq_ignore_ascii_case(protocol),
            "PORT" => value == port,
            "ADDR" => is_address(value),
            _ => false,
        },
        _ => false,
    }
}

/// Whether this reads `tcp://10.0.0.1:3478`.
fn is_url(value: &str) -> bool {
    value.split_once("://").is_some_and(|(protocol, address)| {
        is_protocol(&protocol.to_ascii_uppercase()) && address.parse::<SocketAddr>().is_ok()
    })
}

fn is_protocol(name: &str) -> bool {
    matches!(name, "TCP" | "UDP" | "SCTP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kubelet_sets() {
        for (name, value) in [
            ("EDGERELAY_SERVICE_HOST", "10.0.0.1"),
            ("EDGERELAY_SERVICE_PORT", "3478"),
            ("EDGERELAY_SERVICE_PORT_TURN_UDP", "3478"),
            ("EDGERELAY_PORT", "udp://10.0.0.1:3478"),
            ("EDGERELAY_PORT", "tcp://[fd00::1]:3478"),
            ("EDGERELAY_PORT_3478_UDP", "udp://10.0.0.1:3478"),
            ("EDGERELAY_PORT_3478_UDP_PROTO", "udp"),
            ("EDGERELAY_PORT_3478_UDP_PORT", "3478"),
            ("EDGERELAY_PORT_3478_UDP_ADDR", "fd00::1"),
            ("EDGERELAY_REALM_PORT", "tcp://10.0.0.2:80"),
            ("EDGERELAY_REALM_PORT_80_TCP_ADDR", "10.0.0.2"),
            ("EDGERELAY_ADMIN_SERVICE_HOST", "10.0.0.3"),
            ("EDGERELAY_EXPORT_PORT", "tcp://10.0.0.2:80"),
        ] {
            assert!(is_service_link(name, value), "{name}={value}");
        }
    }

    #[test]
    fn what_somebody_mistyped() {
        for (name, value) in [
            ("EDGERELAY_PORT", "3478"),
            ("EDGERELAY_PORTS", "50000-59999"),
            ("EDGERELAY_PORT", "http://10.0.0.1:3478"),
            ("EDGERELAY_PORT", "tcp://somewhere:3478"),
            ("EDGERELAY_PORT_3478_UDP_ADDR", "relay.example.org"),
            ("EDGERELAY_PORT_3478_QUIC", "udp://10.0.0.1:3478"),
            ("EDGERELAY_SERVICE_HOST", "relay.example.org"),
            ("EDGERELAY_SERVICE_NAME", "relay"),
            ("EDGERELAY_RELM", "tcp://10.0.0.1:3478"),
        ] {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
    }

    #[test]
    fn no_setting_has_such_a_name() {
        for name in super::super::names::all() {
            let variable = format!("EDGERELAY_{}", name.to_uppercase().replace('.', "__"));
            for value in ["10.0.0.1", "80", "tcp://10.0.0.1:80", "tcp"] {
                assert!(!is_service_link(&variable, value), "{variable}");
            }
        }
    }
}
