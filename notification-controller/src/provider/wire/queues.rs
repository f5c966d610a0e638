//! Queues and buses.

use super::*;

#[tokio::test]
async fn queues() {
    let mut pubsub = target("googlepubsub", "my-project");
    let account = json!({"type": "service_account", "client_email": "a@b", "private_key": crate::jose::tests::rsa_pem(), "private_key_id": "k1"});
    (pubsub.channel, pubsub.credentials.token) = ("events".into(), Some(account.to_string()));
    pubsub.credentials.headers = [("team".to_owned(), "shop".to_owned())].into();
    let [seen] = &exchange(pubsub, failure(), vec![]).await[..] else { panic!() };
    assert_eq!(seen.line(), "POST pubsub.googleapis.com/v1/projects/my-project/topics/events:publish");
    let message = &seen.json()["messages"][0];
    assert_eq!(message["attributes"], json!({"team": "shop"}));
    let data: Value =
        serde_json::from_slice(&STANDARD.decode(message["data"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(data, serde_json::to_value(failure()).unwrap());
    let token =
        crate::jose::Token::parse(seen.header("authorization").strip_prefix("Bearer ").unwrap()).unwrap();
    assert_eq!(
        (&token.claims["aud"], token.key_id.as_deref()),
        (&json!("https://pubsub.googleapis.com/"), Some("k1"))
    );

    let mut hub = target("azureeventhub", "hub");
    hub.channel = "ns".into();
    let [seen] = &exchange(hub.clone(), failure(), vec![]).await[..] else { panic!() };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST ns.servicebus.windows.net/hub/messages", "Bearer s3cr3t")
    );
    hub.address = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=a2V5;EntityPath=hub2".into();
    hub.credentials.token = None;
    let [seen] = &exchange(hub, failure(), vec![]).await[..] else { panic!() };
    assert_eq!(seen.line(), "POST ns.servicebus.windows.net/hub2/messages");
    assert!(
        seen.header("authorization")
            .starts_with("SharedAccessSignature sr=https%3A%2F%2Fns.servicebus.windows.net%2Fhub2&sig=")
    );
    assert_eq!(seen.json(), serde_json::to_value(failure()).unwrap());
}

#[tokio::test]
async fn nats_is_told_who_publishes_what() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut nats = target("nats", &format!("nats://{}", listener.local_addr().unwrap()));
    (nats.channel, nats.username, nats.credentials.password) =
        ("flux.events".into(), "me".into(), Some("pw".into()));
    let server = tokio::spawn(async move {
        let mut heard = Vec::new();
        for answer in ["PONG\r\n", "-ERR 'Authorization Violation'\r\n"] {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.write_all(b"INFO {\"server_id\":\"x\",\"nonce\":\"n\"}\r\n").await.unwrap();
            let mut lines = [String::new(), String::new(), String::new()];
            for line in &mut lines[..2] {
                stream.read_line(line).await.unwrap();
            }
            let size: usize = lines[1].trim().rsplit_once(' ').unwrap().1.parse().unwrap();
            let mut payload = vec![0; size + 2];
            stream.read_exact(&mut payload).await.unwrap();
            stream.read_line(&mut lines[2]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            heard.push((lines, payload));
        }
        heard
    });
    deliver(&nats, failure()).await.unwrap();
    let error = deliver(&nats, failure()).await.unwrap_err();
    assert_eq!(error.to_string(), "postMessage failed: NATS responded with error: 'Authorization Violation'");
    let heard = server.await.unwrap();
    let ([connect, publish, ping], payload) = &heard[0];
    let options: Value = serde_json::from_str(connect.strip_prefix("CONNECT ").unwrap()).unwrap();
    assert_eq!(
        (&options["user"], &options["pass"], &options["name"]),
        (&json!("me"), &json!("pw"), &json!("NATS Provider Publisher"))
    );
    assert!(publish.starts_with("PUB flux.events ") && ping == "PING\r\n");
    assert_eq!(serde_json::from_slice::<Value>(payload).unwrap(), serde_json::to_value(failure()).unwrap());
}
