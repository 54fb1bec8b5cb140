//! A client that writes the frames of HTTP/2 one by one, right or wrong, and reads what comes back as it is.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Result},
    net::TcpStream,
};

/// What every client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (RFC 9113, 6).
pub const DATA: u8 = 0;
/// The headers of a call.
pub const HEADERS: u8 = 1;
/// A call is given up.
pub const RST_STREAM: u8 = 3;
/// What one side wishes.
pub const SETTINGS: u8 = 4;
/// Whether the other side is there.
pub const PING: u8 = 6;
/// The connection ends.
pub const GO_AWAY: u8 = 7;
/// More headers of the same call.
pub const CONTINUATION: u8 = 9;

/// No flag.
pub const NONE: u8 = 0;
/// The last frame of a call, from this side.
pub const END_STREAM: u8 = 1;
/// The last frame of its headers.
pub const END_HEADERS: u8 = 4;

/// Codes of errors (RFC 9113, 7): frames that mean nothing.
pub const PROTOCOL_ERROR: u32 = 1;
/// Nothing of the call was read.
pub const REFUSED_STREAM: u32 = 7;
/// Too much of something.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// One of the kinds above, or none of them.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// The call it belongs to; 0 for the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// One connection.
#[derive(Debug)]
pub struct RawHttp2 {
    stream: TcpStream,
}

impl Frame {
    /// A frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// The headers of a gRPC call of `path`.
    pub fn call(stream: u32, flags: u8, path: &str) -> Self {
        Self::new(HEADERS, flags, stream, call(path))
    }

    /// A gRPC message, and the end of the call.
    pub fn message(stream: u32, message: &[u8]) -> Self {
        let length = u32::try_from(message.len()).expect("a small message").to_be_bytes();
        Self::new(DATA, END_STREAM, stream, [&[0], &length[..], message].concat())
    }

    /// A call is given up.
    pub fn reset(stream: u32) -> Self {
        Self::new(RST_STREAM, NONE, stream, 8_u32.to_be_bytes())
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a small frame").to_be_bytes();
        let head = [&length[1..], &[self.kind, self.flags], &self.stream.to_be_bytes()].concat();
        [head, self.payload.clone()].concat()
    }

    /// The code of an error, of a frame that tells one.
    pub fn error(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GO_AWAY => 4,
            _ => return None,
        };
        let code = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(code.try_into().ok()?))
    }
}

/// The compressed headers of a gRPC call, nothing of them kept for the next.
pub fn call(path: &str) -> Vec<u8> {
    // `:method` POST and `:scheme` http have numbers of their own.
    let pseudo = [vec![0x83, 0x86], named(4, path), named(1, "shop.test")];
    [pseudo.concat(), header("content-type", "application/grpc"), header("te", "trailers")].concat()
}

/// One header as it is.
pub fn header(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

fn named(index: u8, value: &str) -> Vec<u8> {
    [vec![index], text(value)].concat()
}

fn text(text: &str) -> Vec<u8> {
    [integer(0, 7, text.len()), text.as_bytes().to_vec()].concat()
}

/// An integer after `flags`, the first of it in so many bits (RFC 7541, 5.1).
pub fn integer(flags: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = 2_usize.pow(bits) - 1;
    let byte = |value: usize| u8::try_from(value).expect("fewer than eight bits");
    if value < most {
        return vec![flags | byte(value)];
    }
    let (mut bytes, mut rest) = (vec![flags | byte(most)], value - most);
    while rest >= 128 {
        bytes.push(byte(rest % 128 + 128));
        rest /= 128;
    }
    bytes.push(byte(rest));
    bytes
}

impl RawHttp2 {
    /// Connects and says what it has to, with these settings (number, value).
    ///
    /// # Errors
    /// The network's.
    pub async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut raw = Self { stream };
        let each = settings.iter().map(|(number, value)| [&number.to_be_bytes()[..], &value.to_be_bytes()].concat());
        raw.stream.write_all(PREFACE).await?;
        raw.send(&[Frame::new(SETTINGS, NONE, 0, each.flatten().collect::<Vec<u8>>())]).await?;
        Ok(raw)
    }

    /// Sends these in one piece.
    ///
    /// # Errors
    /// The network's.
    pub async fn send(&mut self, frames: &[Frame]) -> Result<()> {
        self.write(&frames.iter().flat_map(Frame::bytes).collect::<Vec<u8>>()).await
    }

    /// Sends whatever this is.
    ///
    /// # Errors
    /// The network's.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next frame; none when the connection is closed or cut.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// Reads until the connection is closed: all that came.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}

/// Calls of `path` that nobody lets pass: what is wrong with them, and their frames.
pub fn floods(path: &str) -> [(&'static str, Vec<Frame>); 3] {
    let reset = (0..90).map(|number| 2 * number + 1);
    let reset = reset.flat_map(|stream| [Frame::call(stream, END_HEADERS, path), Frame::reset(stream)]);
    let endless = |more: Vec<Frame>| [vec![Frame::call(1, NONE, path)], more].concat();
    let large = header("x-large", &"x".repeat(16_000));
    [
        ("B57 calls that are reset", reset.collect()),
        ("B58 headers without an end", endless(vec![Frame::new(CONTINUATION, NONE, 1, []); 100])),
        ("B51 B58 a mebibyte of headers", endless(vec![Frame::new(CONTINUATION, NONE, 1, large); 64])),
    ]
}

/// Why the connection was closed, if it was said.
pub fn farewell(frames: &[Frame]) -> Option<u32> {
    frames.iter().rev().find(|frame| frame.kind == GO_AWAY)?.error()
}
