use std::net::IpAddr;

use axum::http::Method;

use super::{Answer, EchoArgs, Port, parse_port, ports};

fn answer(image: &str) -> String {
    Answer::of(image).text("rs-web-v1-m6gtz", &Method::GET, IpAddr::from([192, 168, 100, 9]))
}

#[test]
fn each_image_answers_as_in_the_walkthrough() {
    assert_eq!(answer("whatwant/node-web:1.0"), "You've hit rs-web-v1-m6gtz\n");
    assert_eq!(answer("docker.io/whatwant/node-web:2.0"), "You've hit rs-web-v1-m6gtz(Ver2.0)\n");
    assert_eq!(answer("sysnet4admin/echo-hname"), "rs-web-v1-m6gtz\n");
    assert!(answer("sysnet4admin/echo-ip").contains("Remote IP: 192.168.100.9 "));
}

#[test]
fn ports_come_from_the_manifest_or_the_image() {
    let of = |image: &str, list: &[&str]| {
        let ports_of = list.iter().map(ToString::to_string).collect();
        ports(&EchoArgs { image: image.to_owned(), ports: ports_of }).unwrap()
    };
    assert_eq!(of("whatwant/node-web:1.0", &[]), [Port::Tcp(8080)]);
    assert_eq!(of("sysnet4admin/echo-hname", &[""]), [Port::Tcp(80)]);
    assert_eq!(of("whatwant/node-web:1.0", &["8080", "53/UDP"]), [Port::Tcp(8080), Port::Udp(53)]);
    assert!(parse_port("53/SCTP").unwrap_err().to_string().contains("53/SCTP"));
    assert!(parse_port("99999").is_err());
}
