//! Two hosts on a cable, each of which takes the other for its router.

use std::fs::File;
use std::thread;

use ferrolb_link::{Routers, follow, routers};
use nix::sched::{CloneFlags, setns};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::net::{Net, eventually, must};
use crate::on;

/// What the host at the other end of the cable hears, for as long as somebody wants to know.
fn other_end(net: &Net) -> watch::Receiver<Routers> {
    let (sender, receiver) = watch::channel(Routers::new());
    let namespace = format!("/run/netns/{}", net.peer);
    let run = async move {
        let (_wanted, wanted) = watch::channel(on(&["eth0"]));
        let mut heard = routers::follow(follow().await.expect("netlink works"), wanted);
        loop {
            tokio::select! {
                changed = heard.changed() => changed.expect("the task runs"),
                () = sender.closed() => return,
            }
            sender.send_replace(heard.borrow().clone());
        }
    };
    thread::spawn(move || {
        let namespace = File::open(namespace).expect("the namespace is there");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
        Builder::new_current_thread().enable_all().build().expect("a runtime starts").block_on(run);
    });
    receiver
}

/// The router behind `eth0`, if one is heard.
fn behind_eth0(routers: &watch::Receiver<Routers>) -> Option<String> {
    routers.borrow().values().next().map(ToString::to_string)
}

#[test]
fn a_router_is_heard_and_hears_this_host_and_another_link_is_another_router() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (wanted, listened_on) = watch::channel(on(&["eth0", "eth1"]));
        let routers = routers::follow(follow().await.expect("netlink works"), listened_on);
        let its_routers = other_end(&net);
        eventually("the router is heard", async || {
            behind_eth0(&routers).as_deref() == Some("fe80::ff:fe00:502")
        })
        .await;
        eventually("the router hears this host", async || {
            behind_eth0(&its_routers).as_deref() == Some("fe80::ff:fe00:501")
        })
        .await;

        let peer = &net.peer;
        must(&format!("ip -n {peer} link set eth0 down"));
        eventually("the router is forgotten", async || routers.borrow().is_empty()).await;
        must(&format!("ip -n {peer} link set eth0 address 02:00:00:00:05:77"));
        must(&format!("ip -n {peer} link set eth0 up"));
        eventually("another router is heard", async || {
            behind_eth0(&routers).as_deref() == Some("fe80::ff:fe00:577")
        })
        .await;

        wanted.send_replace(on(&[]));
        eventually("nobody is listened for", async || routers.borrow().is_empty()).await;
    });
}
