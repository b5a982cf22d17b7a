//! One suite, two brokers: ours, and mosquitto as the judge. Where mosquitto is missing its half says
//! so; under `.ci/run` (`CI` is set) that is a failure.

#![allow(clippy::unwrap_used)] // a test says what broke by panicking

use std::io::Write;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::BytesMut;
use davy_simulator::field::broker::{Broker, BrokerConfig};
use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode, LastWill, Packet, PubAck, Publish, Subscribe, SubscribeFilter,
    SubscribeReasonCode, Unsubscribe,
};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(20);

/// A client that shows every packet.
struct Client {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Client {
    async fn open(at: SocketAddr) -> Client {
        Client {
            stream: TcpStream::connect(at).await.unwrap(),
            buffer: BytesMut::new(),
        }
    }

    /// Connects and gives whether a session was present.
    async fn connect(at: SocketAddr, id: &str, clean: bool) -> (Client, bool) {
        let mut connect = Connect::new(id);
        connect.clean_session = clean;
        Client::connect_with(at, connect).await
    }

    async fn connect_with(at: SocketAddr, connect: Connect) -> (Client, bool) {
        let mut client = Client::open(at).await;
        client.send(Packet::Connect(connect)).await;
        match client.next().await {
            Some(Packet::ConnAck(ack)) => {
                assert_eq!(ack.code, ConnectReturnCode::Success);
                (client, ack.session_present)
            }
            other => panic!("no CONNACK: {other:?}"),
        }
    }

    async fn send(&mut self, packet: Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, usize::MAX).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    /// The next packet; none when the broker has closed.
    async fn next(&mut self) -> Option<Packet> {
        tokio::time::timeout(DEADLINE, async {
            loop {
                match Packet::read(&mut self.buffer, 1 << 20) {
                    Ok(packet) => return Some(packet),
                    Err(Error::InsufficientBytes(_)) => {}
                    Err(e) => panic!("the broker sent nonsense: {e}"),
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
        .expect("a packet or the end")
    }

    async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeReasonCode {
        let mut subscribe = Subscribe::new_many([SubscribeFilter::new(filter.into(), qos)]);
        subscribe.pkid = 11;
        self.send(Packet::Subscribe(subscribe)).await;
        match self.next().await {
            Some(Packet::SubAck(ack)) => {
                assert_eq!(ack.pkid, 11);
                ack.return_codes[0]
            }
            other => panic!("no SUBACK: {other:?}"),
        }
    }

    async fn publish(&mut self, topic: &str, text: &str, qos: QoS, retain: bool) {
        let mut publish = Publish::new(topic, qos, text);
        publish.retain = retain;
        publish.pkid = u16::from(qos != QoS::AtMostOnce) * 77;
        self.send(Packet::Publish(publish)).await;
        if qos == QoS::AtLeastOnce {
            assert_eq!(
                self.next().await,
                Some(Packet::PubAck(PubAck::new(77))),
                "PUBACK"
            );
        }
    }

    async fn message(&mut self) -> Publish {
        match self.next().await {
            Some(Packet::Publish(p)) => p,
            other => panic!("no message: {other:?}"),
        }
    }

    async fn expect(&mut self, topic: &str, text: &str) -> Publish {
        let got = self.message().await;
        assert_eq!((&*got.topic, &*got.payload), (topic, text.as_bytes()));
        got
    }

    async fn ack(&mut self, publish: &Publish) {
        self.send(Packet::PubAck(PubAck::new(publish.pkid))).await;
    }

    /// Nothing else has come: a ping is answered first.
    async fn expect_nothing(&mut self) {
        self.send(Packet::PingReq).await;
        assert_eq!(self.next().await, Some(Packet::PingResp));
    }

    async fn goodbye(mut self) {
        self.send(Packet::Disconnect).await;
        assert_eq!(self.next().await, None);
    }

    async fn expect_closed(&mut self) {
        loop {
            if self.next().await.is_none() {
                return;
            }
        }
    }
}

/// Every promise of `field::broker`, in turn, against whatever listens there.
async fn suite(at: SocketAddr) {
    eprintln!("{at}: delivery_and_wildcards");
    delivery_and_wildcards(at).await;
    eprintln!("{at}: retained");
    retained(at).await;
    eprintln!("{at}: wills");
    wills(at).await;
    eprintln!("{at}: persistent_sessions");
    persistent_sessions(at).await;
    eprintln!("{at}: take_over");
    take_over(at).await;
    eprintln!("{at}: keep_alive");
    keep_alive(at).await;
    eprintln!("{at}: violations");
    violations(at).await;
    eprintln!("{at}: many_in_order");
    many_in_order(at).await;
}

async fn delivery_and_wildcards(at: SocketAddr) {
    let (mut sub, present) = Client::connect(at, "dw-sub", true).await;
    assert!(!present);
    let (mut publisher, _) = Client::connect(at, "dw-pub", true).await;
    assert_eq!(
        sub.subscribe("dw/+/x", QoS::AtLeastOnce).await,
        SubscribeReasonCode::Success(QoS::AtLeastOnce)
    );
    sub.subscribe("dw/all/#", QoS::AtMostOnce).await;
    publisher
        .publish("dw/a/x", "1", QoS::AtLeastOnce, false)
        .await;
    let got = sub.expect("dw/a/x", "1").await;
    assert_eq!(
        (got.qos, got.dup, got.retain),
        (QoS::AtLeastOnce, false, false)
    );
    sub.ack(&got).await;
    publisher
        .publish("dw/a/x", "2", QoS::AtMostOnce, false)
        .await;
    assert_eq!(sub.expect("dw/a/x", "2").await.qos, QoS::AtMostOnce);
    publisher
        .publish("dw/all", "3", QoS::AtLeastOnce, false)
        .await;
    assert_eq!(
        sub.expect("dw/all", "3").await.qos,
        QoS::AtMostOnce,
        "the lower of the two"
    );
    publisher
        .publish("dw/all/b/c", "4", QoS::AtMostOnce, false)
        .await;
    sub.expect("dw/all/b/c", "4").await;
    publisher
        .publish("dw/a/b/x", "not for you", QoS::AtLeastOnce, false)
        .await;
    publisher
        .publish("dw/储罐/x", "空", QoS::AtMostOnce, false)
        .await;
    sub.expect("dw/储罐/x", "空").await;
    // two filters, one message, the higher QoS
    sub.subscribe("dw/all/both", QoS::AtLeastOnce).await;
    publisher
        .publish("dw/all/both", "5", QoS::AtLeastOnce, false)
        .await;
    let got = sub.expect("dw/all/both", "5").await;
    assert_eq!(got.qos, QoS::AtLeastOnce);
    sub.ack(&got).await;
    sub.expect_nothing().await;
    let mut unsubscribe = Unsubscribe::new("dw/+/x");
    unsubscribe.pkid = 12;
    sub.send(Packet::Unsubscribe(unsubscribe)).await;
    match sub.next().await {
        Some(Packet::UnsubAck(ack)) => assert_eq!(ack.pkid, 12),
        other => panic!("no UNSUBACK: {other:?}"),
    }
    publisher
        .publish("dw/a/x", "6", QoS::AtLeastOnce, false)
        .await;
    sub.expect_nothing().await;
    sub.goodbye().await;
    publisher.goodbye().await;
}

async fn retained(at: SocketAddr) {
    let (mut publisher, _) = Client::connect(at, "r-pub", true).await;
    publisher
        .publish("r/state", "old", QoS::AtLeastOnce, true)
        .await;
    publisher
        .publish("r/state", "new", QoS::AtLeastOnce, true)
        .await;
    let (mut sub, _) = Client::connect(at, "r-sub", true).await;
    sub.subscribe("r/#", QoS::AtLeastOnce).await;
    let got = sub.expect("r/state", "new").await;
    assert!(got.retain, "flagged for a new subscription");
    sub.ack(&got).await;
    publisher
        .publish("r/state", "live", QoS::AtLeastOnce, true)
        .await;
    let got = sub.expect("r/state", "live").await;
    assert!(!got.retain, "not flagged for an old one");
    sub.ack(&got).await;
    publisher
        .publish("r/state", "", QoS::AtLeastOnce, true)
        .await;
    let got = sub.expect("r/state", "").await;
    sub.ack(&got).await;
    let (mut late, _) = Client::connect(at, "r-late", true).await;
    late.subscribe("r/#", QoS::AtLeastOnce).await;
    late.expect_nothing().await;
}

async fn wills(at: SocketAddr) {
    let (mut sub, _) = Client::connect(at, "w-sub", true).await;
    sub.subscribe("w/#", QoS::AtLeastOnce).await;
    let with_will = |id: &str| {
        let mut connect = Connect::new(id);
        connect.last_will = Some(LastWill::new(
            format!("w/{id}"),
            "gone",
            QoS::AtLeastOnce,
            true,
        ));
        connect
    };
    let (lost, _) = Client::connect_with(at, with_will("lost")).await;
    drop(lost);
    let got = sub.expect("w/lost", "gone").await;
    sub.ack(&got).await;
    let (polite, _) = Client::connect_with(at, with_will("polite")).await;
    polite.goodbye().await;
    sub.expect_nothing().await;
    let (mut late, _) = Client::connect(at, "w-late", true).await;
    late.subscribe("w/#", QoS::AtMostOnce).await;
    assert!(
        late.expect("w/lost", "gone").await.retain,
        "a retained will"
    );
    sub.publish("w/lost", "", QoS::AtMostOnce, true).await;
}

async fn persistent_sessions(at: SocketAddr) {
    let (mut publisher, _) = Client::connect(at, "ps-pub", true).await;
    let (mut sub, present) = Client::connect(at, "ps-sub", false).await;
    assert!(!present);
    sub.subscribe("ps/#", QoS::AtLeastOnce).await;
    publisher
        .publish("ps/a", "1", QoS::AtLeastOnce, false)
        .await;
    publisher
        .publish("ps/a", "2", QoS::AtLeastOnce, false)
        .await;
    let first = sub.expect("ps/a", "1").await;
    let second = sub.expect("ps/a", "2").await;
    sub.ack(&first).await;
    sub.expect_nothing().await;
    drop(sub);
    publisher
        .publish("ps/a", "3", QoS::AtLeastOnce, false)
        .await;
    let (mut sub, present) = Client::connect(at, "ps-sub", false).await;
    assert!(present, "session present");
    let again = sub.expect("ps/a", "2").await;
    assert!(again.dup, "sent before, so flagged");
    assert_eq!(again.pkid, second.pkid);
    let third = sub.expect("ps/a", "3").await;
    sub.ack(&again).await;
    sub.ack(&third).await;
    sub.goodbye().await;
    publisher
        .publish("ps/a", "4", QoS::AtLeastOnce, false)
        .await;
    let (sub, present) = Client::connect(at, "ps-sub", true).await;
    assert!(!present, "a clean session forgets");
    sub.goodbye().await;
    let (mut sub, present) = Client::connect(at, "ps-sub", false).await;
    assert!(!present);
    sub.expect_nothing().await;
    sub.goodbye().await;
    // leave nothing behind
    Client::connect(at, "ps-sub", true).await.0.goodbye().await;
}

async fn take_over(at: SocketAddr) {
    let (mut old, _) = Client::connect(at, "to-twin", false).await;
    let (mut new, present) = Client::connect(at, "to-twin", false).await;
    assert!(present);
    old.expect_closed().await;
    new.expect_nothing().await;
    new.goodbye().await;
    Client::connect(at, "to-twin", true).await.0.goodbye().await;
}

async fn keep_alive(at: SocketAddr) {
    let mut connect = Connect::new("ka");
    connect.keep_alive = 1;
    let (mut silent, _) = Client::connect_with(at, connect).await;
    silent.expect_closed().await;
}

async fn violations(at: SocketAddr) {
    // a first packet that is no CONNECT
    let mut client = Client::open(at).await;
    client.send(Packet::PingReq).await;
    client.expect_closed().await;
    // a second CONNECT
    let (mut client, _) = Client::connect(at, "v-two", true).await;
    client.send(Packet::Connect(Connect::new("v-two"))).await;
    client.expect_closed().await;
    // a publication to a wildcard
    let (mut client, _) = Client::connect(at, "v-wild", true).await;
    client
        .send(Packet::Publish(Publish::new("v/+", QoS::AtMostOnce, "x")))
        .await;
    client.expect_closed().await;
    // an empty client id that wants to be remembered
    let mut client = Client::open(at).await;
    let mut connect = Connect::new("");
    connect.clean_session = false;
    client.send(Packet::Connect(connect)).await;
    match client.next().await {
        Some(Packet::ConnAck(ack)) => assert_eq!(ack.code, ConnectReturnCode::BadClientId),
        other => panic!("{other:?}"),
    }
    client.expect_closed().await;
    // bytes that are no MQTT
    let mut client = Client::open(at).await;
    client.stream.write_all(&[0xff; 64]).await.unwrap();
    client.expect_closed().await;
    // and it still works
    let (client, _) = Client::connect(at, "v-after", true).await;
    client.goodbye().await;
}

async fn many_in_order(at: SocketAddr) {
    const MANY: usize = 5000;
    let (mut sub, _) = Client::connect(at, "m-sub", true).await;
    sub.subscribe("m/#", QoS::AtLeastOnce).await;
    let (publisher, _) = Client::connect(at, "m-pub", true).await;
    let (mut reader, mut writer) = publisher.stream.into_split();
    let send = async {
        let mut out = BytesMut::new();
        for i in 0..MANY {
            let mut publish = Publish::new("m/x", QoS::AtLeastOnce, i.to_string());
            publish.pkid = u16::try_from(i % 60_000).unwrap() + 1;
            publish.write(&mut out).unwrap();
        }
        writer.write_all(&out).await.unwrap();
    };
    let acks = async {
        let mut buffer = BytesMut::new();
        for i in 0..MANY {
            let ack = loop {
                match Packet::read(&mut buffer, 1 << 20) {
                    Ok(packet) => break packet,
                    Err(_) => assert_ne!(reader.read_buf(&mut buffer).await.unwrap(), 0),
                }
            };
            assert_eq!(
                ack,
                Packet::PubAck(PubAck::new(u16::try_from(i).unwrap() + 1))
            );
        }
    };
    let receive = async {
        for i in 0..MANY {
            let got = sub.expect("m/x", &i.to_string()).await;
            sub.ack(&got).await;
        }
    };
    tokio::join!(send, acks, receive);
}

#[tokio::test]
async fn ours() {
    let broker = Broker::start().await.unwrap();
    suite(broker.address()).await;
    assert_eq!(broker.stats().dropped, 0);
    assert!(broker.stats().violations >= 4);
    broker.stop().await;
}

#[tokio::test]
async fn a_full_session_drops_counts_and_holds_up_nobody() {
    let broker = Broker::start_with(BrokerConfig {
        max_queued: 3,
        ..BrokerConfig::default()
    })
    .await
    .unwrap();
    let at = broker.address();
    let (mut sub, _) = Client::connect(at, "sub", false).await;
    sub.subscribe("x", QoS::AtLeastOnce).await;
    sub.goodbye().await;
    let (mut publisher, _) = Client::connect(at, "pub", true).await;
    for i in 0..5 {
        publisher
            .publish("x", &i.to_string(), QoS::AtLeastOnce, false)
            .await;
    }
    assert_eq!(broker.stats().dropped, 2);
    let (mut sub, present) = Client::connect(at, "sub", false).await;
    assert!(present);
    for i in 0..3 {
        let got = sub.expect("x", &i.to_string()).await;
        sub.ack(&got).await;
    }
    sub.expect_nothing().await;
    publisher.expect_nothing().await;
    broker.stop().await;
    sub.expect_closed().await;
}

/// 3.1.2.5: the will goes out whenever the connection closes without a DISCONNECT. Mosquitto 2.0.11
/// keeps it back when the same client takes over a session that persists, so this is ours alone.
#[tokio::test]
async fn a_take_over_publishes_the_will_of_the_old_connection() {
    let broker = Broker::start().await.unwrap();
    let at = broker.address();
    let (mut sub, _) = Client::connect(at, "sub", true).await;
    sub.subscribe("will", QoS::AtLeastOnce).await;
    let mut connect = Connect::new("twin");
    connect.clean_session = false;
    connect.last_will = Some(LastWill::new("will", "taken", QoS::AtLeastOnce, false));
    let (mut old, _) = Client::connect_with(at, connect.clone()).await;
    let (_new, _) = Client::connect_with(at, connect).await;
    old.expect_closed().await;
    sub.expect("will", "taken").await;
}

#[tokio::test]
async fn an_operator_may_cut_a_client() {
    let broker = Broker::start().await.unwrap();
    let (mut client, _) = Client::connect(broker.address(), "victim", true).await;
    assert!(broker.cut("victim"));
    client.expect_closed().await;
    assert!(!broker.cut("victim"));
}

/// Mosquitto on an ephemeral port, ended with the value.
struct Mosquitto {
    child: Child,
    _config: tempfile::NamedTempFile,
    address: SocketAddr,
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn mosquitto() -> Option<Mosquitto> {
    let program = ["mosquitto", "/usr/sbin/mosquitto"].into_iter().find(|p| {
        Command::new(p)
            .arg("-h")
            .stdout(Stdio::null())
            .status()
            .is_ok()
    })?;
    let address = StdListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut config = tempfile::NamedTempFile::new().unwrap();
    write!(
        config,
        "listener {} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n",
        address.port()
    )
    .unwrap();
    let child = Command::new(program)
        .arg("-c")
        .arg(config.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Mosquitto {
        child,
        _config: config,
        address,
    };
    tokio::time::timeout(DEADLINE, async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("mosquitto listens");
    Some(started)
}

#[tokio::test]
async fn mosquitto_agrees() {
    let Some(judge) = mosquitto().await else {
        assert!(
            std::env::var_os("CI").is_none(),
            "mosquitto is missing: apt-get install mosquitto"
        );
        eprintln!("skipped: mosquitto is missing (apt-get install mosquitto)");
        return;
    };
    suite(judge.address).await;
}
