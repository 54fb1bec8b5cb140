//! A channel that reads the answer byte by byte. It writes HTTP by hand: clients read as much as comes.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::rest::read;
use crate::{compose::Message, judge::Answer};

/// Pause between two bytes.
const PAUSE: Duration = Duration::from_millis(1);
/// Longest answer that is read.
const ANSWER_BYTES: usize = 16 << 10;

/// Sends `message` to the gateway at `host` and reads the answer.
pub(super) async fn deliver(host: &str, message: &Message, ack: &[u8], limit: Duration) -> Answer {
    match timeout(limit, exchange(host, message)).await {
        Ok(Ok(answer)) => parse(&answer, ack),
        Ok(Err(error)) => Answer::Unclear(error.to_string()),
        Err(_) => Answer::Unclear("no answer in time".to_owned()),
    }
}

async fn exchange(host: &str, message: &Message) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host).await?;
    let Message { channel, headers, body, .. } = message;
    let mut request = format!(
        "POST /api/v1/callbacks/{channel} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    let mut byte = [0_u8];
    while answer.len() < ANSWER_BYTES && stream.read(&mut byte).await? == 1 {
        answer.extend(byte);
        sleep(PAUSE).await;
    }
    Ok(answer)
}

fn parse(answer: &[u8], ack: &[u8]) -> Answer {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let split = end.and_then(|end| Some((str::from_utf8(answer.get(..end)?).ok()?, answer.get(end + 4..)?)));
    let Some((head, body)) = split else { return Answer::Unclear("the answer broke off".to_owned()) };
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
    match status {
        Some(status) => read(status, body, ack),
        None => Answer::Broken("the answer is no HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_its_status_and_body() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsuccess", Answer::Accepted { applied: false }),
            ("HTTP/1.1 401 Unauthorized\r\n\r\nfail", Answer::of_http(401)),
            ("HTTP/1.1 200 OK\r\n", Answer::Unclear("the answer broke off".to_owned())),
            ("SMTP ready\r\n\r\n", Answer::Broken("the answer is no HTTP".to_owned())),
        ] {
            assert_eq!(parse(answer.as_bytes(), b"success"), expected, "{answer}");
        }
        assert!(matches!(parse(b"HTTP/1.1 200 OK\r\n\r\nSUCCESS", b"success"), Answer::Broken(_)));
    }
}
