//! The pipes of a program on the server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use crate::error::Error;
use crate::wire::packet::{Packets, Stream, text};

/// Pieces between the connection and the reader.
const PIECES: usize = 16;
/// So much of what the program complains about is kept.
const MAX_COMPLAINT: usize = 4096;

pub(super) struct Pipe {
    output: Stream<'static>,
    input: ChannelWriteHalf<russh::client::Msg>,
    complaint: Arc<Mutex<Vec<u8>>>,
    reader: tokio::task::JoinHandle<()>,
}

impl Pipe {
    pub(super) fn new(channel: Channel<russh::client::Msg>) -> Self {
        let (read, write) = channel.split();
        let (sender, receiver) = mpsc::channel(PIECES);
        let complaint = Arc::new(Mutex::new(Vec::new()));
        let reader = tokio::spawn(pass_on(read, sender, Arc::clone(&complaint)));
        let pieces = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (Ok::<_, std::io::Error>(piece), receiver))
        });
        let output = Box::new(StreamReader::new(Box::pin(pieces)));
        Pipe { output, input: write, complaint, reader }
    }

    pub(super) fn packets(&mut self) -> Packets<'_> {
        Packets::new(Box::new(&mut *self.output))
    }

    pub(super) async fn write(&mut self, body: Vec<u8>) -> Result<(), Error> {
        let written = self.input.data_bytes(body).await;
        written.map_err(|error| super::broken("the SSH connection broke".to_owned(), error))
    }

    /// What the program said on its error output. It says it right before it ends.
    pub(super) async fn complaint(&mut self) -> Option<String> {
        let _ = tokio::time::timeout(Duration::from_millis(500), &mut self.reader).await;
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let complaint = text(&complaint).trim().to_owned();
        (!complaint.is_empty()).then_some(complaint)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn pass_on(mut channel: ChannelReadHalf, pieces: mpsc::Sender<Bytes>, complaint: Arc<Mutex<Vec<u8>>>) {
    while let Some(message) = channel.wait().await {
        let go_on = match message {
            ChannelMsg::Data { data } => pieces.send(Bytes::from(data.to_vec())).await.is_ok(),
            ChannelMsg::ExtendedData { data, .. } => {
                let mut complaint = complaint.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MAX_COMPLAINT - complaint.len();
                complaint.extend_from_slice(&data[..data.len().min(room)]);
                true
            }
            ChannelMsg::Close => false,
            _ => true,
        };
        if !go_on {
            return;
        }
    }
}
