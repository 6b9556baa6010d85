//! The network service without machines: who comes and goes, faster than containers can.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;

use hull_network::client::{Joined, Member, quit};
use hull_network::protocol::{Endpoint, Join, Publish, Segment, Transport};
use hull_network::{Cidr, Mac};
use hull_tests::{Home, eventually, eventually_none, hull, kill};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::links;

fn cidr(text: &str) -> Cidr {
    text.parse().expect("an address with a prefix")
}

/// A network whose identifier begins with `number`; all have the same addresses.
fn network(number: u32) -> Segment {
    Segment {
        id: format!("{number:06x}{:058x}", 0),
        gateways: ["10.99.0.1/24", "fd00:99::1/64"].map(cidr).into(),
        mtu: 1500,
        ..Segment::default()
    }
}

/// A container in `network`, with an address that all others have, too.
fn join(number: u32, network: Segment, ports: &[Publish]) -> Join {
    let addresses = ["10.99.0.2/24", "fd00:99::2/64"].map(cidr).into();
    let endpoint = Endpoint {
        network,
        mac: Mac([2, 0x42, 10, 99, 0, 2]),
        addresses,
        names: vec!["name".into()],
        links: [].into(),
        resolvers: vec![],
    };
    let container = format!("{number:08x}{:056x}", 0);
    Join { container, endpoints: vec![endpoint], ports: ports.to_vec(), again: false }
}

fn publish(port: u16, transport: Transport) -> Publish {
    Publish {
        hosts: vec![Ipv4Addr::LOCALHOST.into()],
        host_ports: (port, port),
        address: [10, 99, 0, 2].into(),
        port: 80,
        transport,
    }
}

/// Ports of the host that nobody has.
fn free_ports() -> [Publish; 2] {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let tcp = TcpListener::bind(any).and_then(|socket| socket.local_addr()).expect("a port");
    let udp = UdpSocket::bind(any).and_then(|socket| socket.local_addr()).expect("a port");
    [publish(tcp.port(), Transport::Tcp), publish(udp.port(), Transport::Udp)]
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, future)
}

async fn joined(home: &Path, join: Join) -> Joined {
    Member::join(&hull(), home, join).await.expect("to join")
}

#[test]
fn what_a_member_had_is_the_next_ones_at_once() {
    const MEMBERS: u32 = 90;
    let home = Home::new();
    block_on(async {
        let ports = free_ports();
        // Somebody who uses what the others have, as long as they have it.
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.connect((Ipv4Addr::LOCALHOST, ports[1].host_ports.0)).unwrap();
        let stays = joined(home.path(), join(0, network(0), &[])).await;
        let own = links(home.path());
        assert_eq!(own.len(), 2);
        for number in 1..=MEMBERS {
            // The same network with another identifier, as it is after its removal and creation; or
            // the same container once more.
            let network = network(number.div_ceil(2));
            let Joined { member, taps, ports: got } =
                joined(home.path(), join(number.div_ceil(3), network, &ports)).await;
            assert_eq!((taps.len(), got.as_slice()), (1, ports.as_slice()));
            let _ = client.send(b"a flow of its own");
            // The supervisor's end, as it is seen from outside. Its machine may end before or after.
            match number % 2 {
                0 => drop((taps, member)),
                _ => drop((member, taps)),
            }
        }
        eventually_none("only what one has is left", || {
            links(home.path()).into_iter().filter(|link| !own.contains(link)).collect::<Vec<_>>()
        });
        drop(stays);
        eventually_none("nothing is left", || links(home.path()));
        quit(home.path()).await;
    });
}

/// Kills the service and returns when `member` knows.
async fn kill_service(home: &Home, member: &mut Member) {
    for service in home.pids("network-service") {
        kill(service);
    }
    member.lost().await;
}

/// Has the member that has joined by `join` join another service.
async fn joined_again(home: &Home, member: &Member, join: &Join) -> Joined {
    let again = Join { again: true, ..join.clone() };
    member.join_again(&hull(), home.path(), again).await.expect("to join again")
}

/// Returns whether the network with this number has a bridge.
fn has_bridge(home: &Home, number: u32) -> bool {
    links(home.path()).contains(&format!("b{number:06x}000000"))
}

#[test]
fn what_a_dead_service_has_left_goes_with_its_containers() {
    let home = Home::new();
    block_on(async {
        let stays = join(0, network(0), &[]);
        let mut member = joined(home.path(), stays.clone()).await;
        let gone = joined(home.path(), join(1, network(1), &[])).await;
        let lives_on = joined(home.path(), join(2, network(2), &[])).await;
        kill_service(&home, &mut member.member).await;
        // This one ends with the service, the other one when there is another.
        drop(gone);
        let next = joined_again(&home, &member.member, &stays).await;
        let has = |number| has_bridge(&home, number);
        eventually("the bridge of the first goes", || !has(1));
        assert!(has(0) && has(2));
        drop(lives_on);
        eventually("the bridge of the other goes", || !has(2));
        assert_eq!(links(home.path()).len(), 2);
        drop((next, member));
        eventually_none("nothing is left", || links(home.path()));
        quit(home.path()).await;
    });
}

#[test]
fn a_bridge_stays_for_those_who_have_not_come_back_to_it() {
    let home = Home::new();
    block_on(async {
        let [first, second] = [0, 1].map(|number| join(number, network(0), &[]));
        let mut leaves = joined(home.path(), first.clone()).await;
        let stays = joined(home.path(), second.clone()).await;
        kill_service(&home, &mut leaves.member).await;
        // Nobody has told the new service of the one that stays when the other one leaves.
        drop(joined_again(&home, &leaves.member, &first).await);
        drop(leaves);
        let other = joined(home.path(), join(2, network(2), &[])).await;
        assert!(has_bridge(&home, 0));
        let back = joined_again(&home, &stays.member, &second).await;
        drop(other);
        eventually("the bridge of another goes", || !has_bridge(&home, 2));
        assert!(has_bridge(&home, 0));
        drop((back, stays));
        eventually_none("nothing is left", || links(home.path()));
        quit(home.path()).await;
    });
}

#[test]
fn who_joins_while_the_service_dies_joins_the_next() {
    let home = Home::new();
    block_on(async {
        let mut all = vec![joined(home.path(), join(0, network(0), &[])).await];
        for number in 1..=10 {
            let pids = home.pids("network-service");
            // The connection is made to the one that is dying, or to none.
            let joining = joined(home.path(), join(number, network(number), &[]));
            let (next, ()) = tokio::join!(joining, async { pids.into_iter().for_each(kill) });
            all.push(next);
        }
        drop(all);
        eventually_none("nothing is left", || links(home.path()));
        quit(home.path()).await;
    });
}
