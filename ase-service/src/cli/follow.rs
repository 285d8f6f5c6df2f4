//! `ase log follow`: what the daemon sends is printed as it comes.

use std::io::{self, Write as _};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Method, Response};

use super::connection::{Connection, Failure, finish, judge, prepare};
use super::{DONE, UNREACHABLE, complain};

/// Prints `/v1/log/follow` until the daemon stops, the reader of the output goes away, or the process is interrupted.
pub(super) fn follow(connection: &Connection) -> u8 {
    let (way, request) = match prepare("log/follow", Method::GET, "", connection) {
        Ok(prepared) => prepared,
        Err(failure) => return finish(Err(failure), connection, |_| String::new()),
    };
    let followed = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| {
            runtime.block_on(async {
                let io = way.connect().await?;
                let (mut sender, served) = hyper::client::conn::http1::handshake(io).await?;
                let serving = tokio::spawn(served);
                let response = sender.send_request(request).await?;
                let ended = print(response).await;
                serving.abort();
                ended
            })
        });
    match followed {
        Ok(Ended::Quietly) => DONE,
        Ok(Ended::Refused(failure)) => finish(Err(failure), connection, |_| String::new()),
        Err(error) => {
            complain(&format!("no daemon answers at {}: {error}", way.address));
            UNREACHABLE
        }
    }
}

enum Ended {
    Quietly,
    Refused(Failure),
}

async fn print(
    response: Response<Incoming>,
) -> Result<Ended, Box<dyn std::error::Error + Send + Sync>> {
    let status = response.status();
    let mut body = response.into_body();
    if !status.is_success() {
        let text = body.collect().await?.to_bytes();
        return match judge(status.as_u16(), &text) {
            Err(Some(failure)) => Ok(Ended::Refused(failure)),
            Ok(_) | Err(None) => {
                Err(format!("status {status} without JSON, so it is no ASE").into())
            }
        };
    }
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame?.into_data() else {
            continue;
        };
        let mut output = io::stdout().lock();
        if output
            .write_all(&bytes)
            .and_then(|()| output.flush())
            .is_err()
        {
            break;
        }
    }
    Ok(Ended::Quietly)
}
