//! A process ends as planned, and the next one on its host goes on with its sessions.

use super::*;

#[tokio::test]
async fn a_driver_that_follows_another_is_to_its_peer_the_same() {
    let segment = Segment::new();
    let (there, back) = (segment.path(0, 1), segment.path(1, 0));
    let mut one = Host::start(segment, &there, 0, patient());
    let mut two = Host::start(segment, &back, 1, patient());
    two.comes_up(&back).await;
    let before = one.comes_up(&there).await;
    for mult in 201..=205 {
        let asked = Instant::now();
        let lines = one.bfd.handle.hand_over().await;
        UdpSocket::bind(segment.port(0, false)).expect("the port is free");
        one = Host::resume(segment.config(0), &lines);
        let after = one.comes_up(&there).await;
        println!("the next driver went on after {:?}", asked.elapsed());
        assert_eq!((after.local_discr, after.counts.ups), (before.local_discr, 0));
        // And each hears the other.
        one.want(&there, config(300, mult));
        let detection_time = Some(Duration::from_millis(300) * u32::from(mult));
        let status = two.comes_to(&back, |status| status.detection_time == detection_time).await;
        assert_eq!((status.state, status.counts.ups, status.counts.downs), (State::Up, 1, 0));
    }
    two.bfd.handle.set_sessions(BTreeMap::new());
    assert_eq!(one.next_down().await, DownReason::NeighborAdminDown);
}

#[tokio::test]
async fn sessions_that_are_not_up_are_not_handed_over() {
    let segment = Segment::new();
    let path = segment.path(0, 1);
    let mut host = Host::start(segment, &path, 0, patient());
    host.comes_to(&path, |status| status.local_discr.is_some()).await;
    assert!(host.bfd.handle.hand_over().await.is_empty());
}
