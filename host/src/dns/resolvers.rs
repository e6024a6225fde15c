//! The resolvers of this system, which find answers elsewhere and may have them in a cache.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_net::NetError;
use hickory_proto::op::{DnsResponse, ResponseCode};
use hickory_resolver::system_conf::read_system_conf;

use super::exchange::{Question, exchange};

/// How long one resolver has for an answer, before the next one is asked.
const EACH: Duration = Duration::from_secs(3);

/// How often each is asked.
const ATTEMPTS: usize = 2;

/// The most resolvers that are asked.
const MOST: usize = 8;

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Resolvers {
    /// Those of the system, as it names them now (`/etc/resolv.conf`).
    #[default]
    System,
    /// These.
    At(Vec<SocketAddr>),
}

impl Resolvers {
    /// Asks one after the other, each twice, until one answers with something other than that it cannot. Takes at most
    /// `limit`.
    ///
    /// # Errors
    /// None answers in time, or there is none.
    pub(crate) async fn ask(&self, question: &Question, limit: Duration) -> Result<DnsResponse, NetError> {
        let servers = self.servers().await?;
        let end = Instant::now() + limit;
        let mut last = Err(NetError::Message("there is no resolver"));
        for addr in servers.iter().cycle().take(servers.len() * ATTEMPTS) {
            let left = end.saturating_duration_since(Instant::now()).min(EACH);
            if left.is_zero() {
                break;
            }
            let asked = tokio::time::timeout(left, exchange(question, *addr, left)).await;
            match asked.unwrap_or(Err(NetError::Timeout)) {
                Ok(answer) if !is_trouble(answer.response_code) => return Ok(answer),
                // What a resolver says is worth more than the silence of another.
                Ok(answer) => last = Ok(answer),
                Err(error) if last.is_err() => last = Err(error),
                Err(_) => {}
            }
        }
        last
    }

    async fn servers(&self) -> Result<Vec<SocketAddr>, NetError> {
        let mut servers = match self {
            Self::At(servers) => servers.clone(),
            Self::System => {
                let read = tokio::task::spawn_blocking(read_system_conf).await;
                let (config, _) = read.map_err(|error| NetError::from(error.to_string()))??;
                config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect()
            }
        };
        servers.truncate(MOST);
        Ok(servers)
    }
}

/// Whether another resolver may know better.
fn is_trouble(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::ServFail | ResponseCode::Refused | ResponseCode::NotImp | ResponseCode::FormErr)
}
