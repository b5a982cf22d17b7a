//! Addresses as people write them: `tcp://HOST:PORT`, `mqtt://HOST:PORT`, `http://HOST:PORT`.
//!
//! May not live here: name resolution, sockets.

use std::net::{IpAddr, SocketAddr};

use crate::site::{ModbusAddress, MqttAddress};

/// What is wrong with an address: code, message, remedy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadAddress {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

fn bad(message: String, hint: &str) -> BadAddress {
    BadAddress {
        code: "E107",
        message,
        hint: hint.to_owned(),
    }
}

fn unsupported(message: String, hint: &str) -> BadAddress {
    BadAddress {
        code: "E113",
        message,
        hint: hint.to_owned(),
    }
}

/// An address of a Modbus link.
pub(crate) fn modbus(text: &str) -> Result<ModbusAddress, BadAddress> {
    const HINT: &str = "write `tcp://HOST:PORT`, for example `tcp://10.0.3.11:502`";
    if let Some((scheme @ ("rtu" | "rtu+tcp"), _)) = text.split_once("://") {
        return Err(unsupported(
            format!("this version reads Modbus TCP only, not `{scheme}://`"),
            "put a Modbus TCP gateway before the serial bus and write `tcp://HOST:PORT`",
        ));
    }
    let rest = scheme(text, "tcp", HINT)?;
    if rest.contains(['/', '?', '#', '@']) {
        return Err(bad(
            format!("`{text}` has more than a host and a port"),
            HINT,
        ));
    }
    let (host, port) = host_port(rest, 502, HINT)?;
    Ok(ModbusAddress::Tcp { host, port })
}

/// An address of a broker; `user@` may stand in it, a password may not.
pub(crate) fn mqtt(text: &str) -> Result<MqttAddress, BadAddress> {
    const HINT: &str = "write `mqtt://HOST:PORT`, for example `mqtt://10.0.3.20:1883`";
    if let Some((scheme @ ("mqtts" | "ssl" | "ws" | "wss"), _)) = text.split_once("://") {
        return Err(unsupported(
            format!("this version speaks plain MQTT only, not `{scheme}://`"),
            "write `mqtt://HOST:PORT`, inside the plant's own network or a tunnel",
        ));
    }
    let rest = scheme(text, "mqtt", HINT)?;
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    if user.is_some_and(|u| u.contains(':')) {
        return Err(BadAddress {
            code: "E114",
            // The text is not repeated: it holds the secret.
            message: "a password stands in the address".to_owned(),
            hint: "move it to a file and name that with the `…password_file` key".to_owned(),
        });
    }
    if rest.contains(['/', '?', '#']) {
        return Err(bad(
            format!("`{text}` has more than a host and a port"),
            HINT,
        ));
    }
    if user.is_some_and(str::is_empty) {
        return Err(bad("the user before `@` is empty".to_owned(), HINT));
    }
    let (host, port) = host_port(rest, 1883, HINT)?;
    Ok(MqttAddress {
        host,
        port,
        user: user.map(str::to_owned),
        password: None,
    })
}

/// The base URL of an engine, without a path: the client that sends to it drops any.
pub(crate) fn http(text: &str) -> Result<String, BadAddress> {
    const HINT: &str = "write `http://HOST:PORT`, for example `http://127.0.0.1:8428`";
    if text.starts_with("https://") {
        return Err(unsupported(
            "this version sends history over plain HTTP only, not `https://`".to_owned(),
            "write `http://HOST:PORT`, inside the plant's own network or a tunnel",
        ));
    }
    let rest = scheme(text, "http", HINT)?;
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if authority.contains('@') {
        return Err(BadAddress {
            code: "E114",
            message: "a user or password stands in the URL".to_owned(),
            hint: "use `token_file`".to_owned(),
        });
    }
    if !matches!(path, "" | "/") {
        return Err(BadAddress {
            code: "E115",
            message: format!("the URL has the path `{path}`, and path prefixes are not supported"),
            hint: "davy always writes to `/api/v2/write`; where the engine needs a prefix, put a \
                   rewriting proxy (vmauth, nginx) before it and name that"
                .to_owned(),
        });
    }
    let (host, port) = host_port(authority, 80, HINT)?;
    Ok(if host.contains(':') {
        format!("http://[{host}]:{port}")
    } else {
        format!("http://{host}:{port}")
    })
}

/// Where the console listens. Loopback only, until sign-in exists.
pub(crate) fn listen(text: &str) -> Result<String, BadAddress> {
    const HINT: &str = "write `127.0.0.1:8080`";
    let local = |port: u16| Ok(format!("127.0.0.1:{port}"));
    let (ip, port) = if let Ok(addr) = text.parse::<SocketAddr>() {
        (addr.ip(), addr.port())
    } else {
        match text.rsplit_once(':').map(|(h, p)| (h, p.parse::<u16>())) {
            Some(("localhost", Ok(port))) => return local(port),
            Some((_, Ok(_))) => {
                return Err(bad(
                    format!("`{text}`: a listener is an IP address and a port"),
                    HINT,
                ));
            }
            _ => return Err(bad(format!("`{text}` is not `IP:PORT`"), HINT)),
        }
    };
    if !is_loopback(ip) {
        return Err(BadAddress {
            code: "E112",
            message: format!(
                "`{text}` is reachable from other machines, and there is no sign-in yet"
            ),
            hint: format!(
                "write `127.0.0.1:{port}` and reach it through an SSH tunnel or a proxy that signs people in"
            ),
        });
    }
    Ok(text.to_owned())
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn scheme<'t>(text: &'t str, wanted: &str, hint: &str) -> Result<&'t str, BadAddress> {
    match text.split_once("://") {
        Some((s, rest)) if s == wanted => Ok(rest),
        Some((s, _)) => Err(bad(format!("`{s}://` is not a scheme known here"), hint)),
        // The text is not repeated: without a scheme nobody knows what in it is a secret.
        None => Err(bad(format!("`{wanted}://` does not stand before it"), hint)),
    }
}

/// `HOST`, `HOST:PORT`, `[v6]`, `[v6]:PORT`.
fn host_port(text: &str, default: u16, hint: &str) -> Result<(String, u16), BadAddress> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((host, rest)) = rest.split_once(']') else {
            return Err(bad(format!("`{text}` has no closing `]`"), hint));
        };
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(bad(format!("`[{host}]` is not an IPv6 address"), hint));
        }
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(bad(format!("`{text}` is not an address"), hint)),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() {
        return Err(bad("the host is missing".to_owned(), hint));
    }
    if !host.chars().all(fine) {
        return Err(bad(format!("`{host}` is not a host name"), hint));
    }
    let port = match port {
        None => default,
        Some(p) => match p.parse::<u16>() {
            Ok(p) if p > 0 => p,
            _ => return Err(bad(format!("`{p}` is not a port (1 to 65535)"), hint)),
        },
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modbus_addresses() {
        for (text, expected) in [
            ("tcp://10.0.3.11:502", Ok(("10.0.3.11", 502))),
            ("tcp://plc-tf3", Ok(("plc-tf3", 502))),
            ("tcp://[::1]:1502", Ok(("::1", 1502))),
            ("rtu:///dev/ttyS1?baud=9600", Err("E113")),
            ("rtu+tcp://10.0.3.12:4001", Err("E113")),
            ("udp://10.0.3.12:502", Err("E107")),
            ("10.0.3.12:502", Err("E107")),
            ("tcp://", Err("E107")),
            ("tcp://h:0", Err("E107")),
            ("tcp://h:70000", Err("E107")),
            ("tcp://h/path", Err("E107")),
            ("tcp://[::1", Err("E107")),
            ("tcp://罐区", Err("E107")),
        ] {
            let got = modbus(text).map(|ModbusAddress::Tcp { host, port }| (host, port));
            match expected {
                Ok((host, port)) => assert_eq!(got, Ok((host.to_owned(), port)), "{text}"),
                Err(code) => assert_eq!(got.map_err(|e| e.code), Err(code), "{text}"),
            }
        }
    }

    #[test]
    fn broker_addresses_hold_no_password() {
        let ok = mqtt("mqtt://gw@10.0.3.20").unwrap();
        assert_eq!((ok.port, ok.user.as_deref()), (1883, Some("gw")));
        let refused = mqtt("mqtt://gw:hunter2@10.0.3.20").unwrap_err();
        assert_eq!(refused.code, "E114");
        assert!(!format!("{refused:?}").contains("hunter2"));
        assert_eq!(mqtt("mqtts://10.0.3.20").unwrap_err().code, "E113");
        assert_eq!(mqtt("mqtt://@h").unwrap_err().code, "E107");
        assert_eq!(mqtt("mqtt://h/x").unwrap_err().code, "E107");
    }

    #[test]
    fn urls_have_no_path() {
        assert_eq!(
            http("http://127.0.0.1:8428/").unwrap(),
            "http://127.0.0.1:8428"
        );
        assert_eq!(http("http://[::1]:8086").unwrap(), "http://[::1]:8086");
        for (text, code) in [
            ("http://vm:8480/insert/0/influx", "E115"),
            ("https://vm:8480", "E113"),
            ("vm:8480", "E107"),
            ("http://a:b@vm", "E114"),
        ] {
            assert_eq!(http(text).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn listeners_are_on_loopback() {
        for (text, expected) in [
            ("127.0.0.1:8080", Ok("127.0.0.1:8080")),
            ("localhost:8080", Ok("127.0.0.1:8080")),
            ("[::1]:8080", Ok("[::1]:8080")),
            ("0.0.0.0:8080", Err("E112")),
            ("[::]:8080", Err("E112")),
            ("[::ffff:10.0.0.1]:80", Err("E112")),
            ("10.0.0.1:8080", Err("E112")),
            ("8080", Err("E107")),
            ("control-room:8080", Err("E107")),
        ] {
            assert_eq!(
                listen(text).map_err(|e| e.code),
                expected.map(str::to_owned),
                "{text}"
            );
        }
    }
}
