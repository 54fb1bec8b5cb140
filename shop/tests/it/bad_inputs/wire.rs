//! A client that sends whatever bytes it is told to.

use std::{fmt::Write, net::SocketAddr};

use bytes::Bytes;
use h2::{
    RecvStream,
    client::{SendRequest, handshake},
};
use http::{HeaderMap, Method, Request, StatusCode, header::CONTENT_TYPE};
use prost::Message;
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// One HTTP/2 connection.
pub(crate) struct Wire {
    requests: SendRequest<Bytes>,
    address: SocketAddr,
}

impl Wire {
    /// Connects; whoever is there may speak something else.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, h2::Error> {
        let (requests, connection) = handshake(TcpStream::connect(address).await.unwrap()).await?;
        tokio::spawn(connection);
        Ok(Self { requests, address })
    }
}

/// One call: everything a correct client would have done for it, ready to be spoiled.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) http: StatusCode,
    /// None where the answer is no gRPC.
    pub(crate) status: Option<Status>,
    pub(crate) body: Bytes,
    /// All that a client could read.
    pub(crate) shown: String,
}

impl Call {
    /// A correct call.
    pub(crate) fn new(path: &str, message: &impl Message) -> Self {
        Self::of_bytes(path, &message.encode_to_vec())
    }

    /// A correct frame around `message`, whatever that is.
    pub(crate) fn of_bytes(path: &str, message: &[u8]) -> Self {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = [&[0], &length[..], message].concat();
        let headers = vec![("content-type", "application/grpc".to_owned()), ("te", "trailers".to_owned())];
        Self { method: Method::POST, path: path.to_owned(), headers, body }
    }

    /// The same with another frame.
    pub(crate) fn framed(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }
    }

    /// The same with this header, or without it.
    pub(crate) fn header(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    /// Sends it; fails only if the connection does.
    pub(crate) async fn send(&self, wire: &Wire) -> Result<Reply, h2::Error> {
        let uri = format!("http://{}{}", wire.address, self.path);
        let mut request = Request::builder().method(&self.method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let mut requests = wire.requests.clone().ready().await?;
        let (answer, mut body) = requests.send_request(request.body(()).unwrap(), false)?;
        // Whoever has refused it already reads no body.
        drop(body.send_data(Bytes::from(self.body.clone()), true));
        let (head, body) = answer.await?.into_parts();
        let (body, trailers) = receive(body).await?;
        let grpc = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let status = Status::from_header_map(&trailers).or_else(|| Status::from_header_map(&head.headers));
        let shown = shown(&[&head.headers, &trailers], &body);
        Ok(Reply { http: head.status, status: status.filter(|_| grpc), body, shown })
    }
}

async fn receive(mut body: RecvStream) -> Result<(Bytes, HeaderMap), h2::Error> {
    let mut received = Vec::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        received.extend(part);
    }
    Ok((received.into(), body.trailers().await?.unwrap_or_default()))
}

impl Reply {
    /// The gRPC code; a call without trailers is none.
    pub(crate) fn code(&self) -> Option<Code> {
        self.status.as_ref().map(Status::code)
    }

    /// `SHOP_…` and the field of a refusal of ours.
    pub(crate) fn reason(&self) -> (String, String) {
        let details = self.status.as_ref().map(StatusExt::get_error_details).unwrap_or_default();
        let Some(info) = details.error_info().filter(|info| info.domain == "shop") else { return Default::default() };
        (info.reason.clone(), info.metadata.get("field").cloned().unwrap_or_default())
    }

    /// The message of an answer.
    pub(crate) fn message<M: Message + Default>(&self) -> M {
        M::decode(&self.body[5..]).unwrap()
    }
}

fn shown(headers: &[&HeaderMap], body: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for headers in headers {
        for (name, value) in *headers {
            writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes())).unwrap();
        }
        // The details of a refusal are packed in base64.
        if let Some(status) = Status::from_header_map(headers) {
            writeln!(text, "{} {}", status.message(), String::from_utf8_lossy(status.details())).unwrap();
        }
    }
    text
}
