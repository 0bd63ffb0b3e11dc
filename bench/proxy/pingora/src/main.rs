//! A proxy as short as Pingora allows, on the same terms as the others here: the path is hashed over a ketama
//! ring, connections to the servers are kept, X-Forwarded-For is added.

use async_trait::async_trait;
use clap::Parser;
use pingora::http::RequestHeader;
use pingora::lb::LoadBalancer;
use pingora::lb::selection::Consistent;
use pingora::prelude::*;
use pingora::proxy::{ProxyHttp, Session};
use pingora::server::configuration::ServerConf;

#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[arg(long, default_value_t = 1)]
    workers: usize,
    #[arg(long)]
    listen: String,
    /// Speak HTTP/2 too, by prior knowledge.
    #[arg(long)]
    h2c: bool,
    /// The files of a certificate and of its key.
    #[arg(long, num_args = 2)]
    tls: Option<Vec<String>>,
    #[arg(required = true)]
    servers: Vec<String>,
}

struct Ketama(LoadBalancer<Consistent>);

#[async_trait]
impl ProxyHttp for Ketama {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, session: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        let path = session.req_header().uri.path().as_bytes();
        let server = self.0.select(path, 256);
        let server = server.ok_or_else(|| Error::new_str("no server"))?;
        Ok(Box::new(HttpPeer::new(server, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _: &mut (),
    ) -> Result<()> {
        if let Some(client) = session.client_addr().and_then(|address| address.as_inet()) {
            request.insert_header("x-forwarded-for", client.ip().to_string())?;
        }
        // In HTTP/2 the host is not among the fields.
        if request.headers.get("host").is_none() {
            let host = session
                .req_header()
                .uri
                .authority()
                .map(|host| host.to_string());
            request.insert_header("host", host.unwrap_or_default())?;
        }
        Ok(())
    }
}

fn main() {
    let arguments = Arguments::parse();
    let conf = ServerConf {
        threads: arguments.workers,
        work_stealing: false,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let balancer = LoadBalancer::try_from_iter(&arguments.servers).expect("addresses of servers");
    let mut service = pingora::proxy::http_proxy_service(&server.configuration, Ketama(balancer));
    if arguments.h2c {
        let app = service.app_logic_mut().expect("not started yet");
        app.server_options.get_or_insert_default().h2c = true;
    }
    match arguments.tls.as_deref() {
        Some([chain, key]) => service
            .add_tls(&arguments.listen, chain, key)
            .expect("a certificate"),
        _ => service.add_tcp(&arguments.listen),
    }
    server.add_service(service);
    server.run_forever();
}
