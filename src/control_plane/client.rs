//! How does the control plane talk to one Redis node or Sentinel?
//!
//! Shell: one connection, RESP2, replies decoded for their meaning. It has no timeouts of its own: each caller knows
//! how long its question may take. Not a pool, and not shared with the data plane: a probe must not queue behind apps.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cluster::{Access, NodeAddr};
use crate::limits::CONTROL_REPLY_BYTES_MAX;
use crate::net::{self, Stream};
use crate::resp::{DecodeError, ReplyScanner, Value, decode_value, write_command};

/// Why a question has no answer. All but [`ClientError::Refused`] end the connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The peer cannot be reached, or went away.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The peer's own error reply, without its `-`. The connection is still good.
    #[error("{0}")]
    Refused(String),
    /// It does not speak RESP2.
    #[error("it answers garbage: {0}")]
    Garbage(#[from] DecodeError),
    /// Its reply is larger than any that is asked for.
    #[error("its reply is larger than {CONTROL_REPLY_BYTES_MAX} bytes")]
    TooLarge,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Stream,
    buffer: Vec<u8>,
    scanner: ReplyScanner,
}

impl Client {
    /// Connects, authenticates if there is something to authenticate with, and says who this is.
    pub(crate) async fn connect(node: &NodeAddr, access: &Access, name: &str) -> Result<Self, ClientError> {
        let mut client = Self {
            stream: net::connect(node, access.tls.as_ref()).await?,
            buffer: Vec::new(),
            scanner: ReplyScanner::new(),
        };
        if let Some(auth) = &access.auth {
            let password = auth.password.expose();
            let answer = match &auth.user {
                Some(user) => {
                    client
                        .call(&[b"AUTH", user.as_bytes(), password.as_bytes()])
                        .await
                }
                None => client.call(&[b"AUTH", password.as_bytes()]).await,
            };
            answer.map_err(|error| without_password(error, password))?;
        }
        // Only so that an operator sees in CLIENT LIST who this is: a refusal does no harm.
        match client.call(&[b"CLIENT", b"SETNAME", name.as_bytes()]).await {
            Ok(_) | Err(ClientError::Refused(_)) => Ok(client),
            Err(error) => Err(error),
        }
    }

    /// Sends a command and waits for its reply. Not cancel-safe: a connection whose call was dropped is to be dropped too.
    ///
    /// # Errors
    /// Also an error reply, as [`ClientError::Refused`].
    pub(crate) async fn call(&mut self, words: &[&[u8]]) -> Result<Value, ClientError> {
        self.send(words).await?;
        match self.receive().await? {
            Value::Error(text) => Err(ClientError::Refused(text)),
            value => Ok(value),
        }
    }

    /// Sends a command and does not wait.
    pub(crate) async fn send(&mut self, words: &[&[u8]]) -> Result<(), ClientError> {
        self.send_all(&[words]).await
    }

    /// Sends several commands in one write and does not wait.
    pub(crate) async fn send_all(&mut self, commands: &[&[&[u8]]]) -> Result<(), ClientError> {
        let mut request = Vec::new();
        for words in commands {
            write_command(&mut request, words);
        }
        Ok(self.stream.write_all(&request).await?)
    }

    /// The next reply or pub/sub message, error replies included. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Result<Value, ClientError> {
        loop {
            match self.scanner.scan(&self.buffer) {
                Ok(Some(end)) => {
                    let value = decode_value(&self.buffer[..end]);
                    self.buffer.drain(..end);
                    return Ok(value?);
                }
                Ok(None) if self.buffer.len() > CONTROL_REPLY_BYTES_MAX => return Err(ClientError::TooLarge),
                Ok(None) => {}
                Err(_) => return Err(DecodeError::Malformed.into()),
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// A server that does not know AUTH repeats its arguments, the password or its beginning among them, and what is refused is
/// told to operators.
fn without_password(error: ClientError, password: &str) -> ClientError {
    match error {
        ClientError::Refused(text) => {
            let end = text.find(", with args beginning with").unwrap_or(text.len());
            ClientError::Refused(match password {
                "" => text[..end].to_owned(),
                password => text[..end].replace(password, "***"),
            })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &str, password: &str) -> String {
        without_password(ClientError::Refused(said.to_owned()), password).to_string()
    }

    #[test]
    fn a_refusal_that_repeats_the_password_is_told_without_it() {
        let cut = told(
            "ERR unknown command `AUTH`, with args beginning with: `app` `secr",
            "secret",
        );
        assert_eq!(cut, "ERR unknown command `AUTH`");
        assert_eq!(told("ERR what is AUTH secret", "secret"), "ERR what is AUTH ***");
        let words = "WRONGPASS invalid username-password pair or user is disabled.";
        assert_eq!(told(words, "secret"), words);
        assert_eq!(told(words, ""), words);
    }
}
