//! nginx with `proxy_cache` in front of the upstream, without root and without a fixed port.

use std::{path::Path, thread::sleep, time::Duration};

use loadtest::sockets::Port;
use tokio::time::Instant;

use super::{
    setting::{Kind, Setting},
    started::{Started, command, write},
};
use crate::{
    client::connect,
    error::{Doing, Error},
    process::Process,
};

pub(super) fn start(kind: Kind, folder: &Path, setting: &Setting) -> Result<Started, Error> {
    let nginx = command("nginx", "nginx")?;
    let port = Port::reserve().doing("reserving a port")?;
    let file = folder.join("nginx.conf");
    write(&file, &config(kind, folder, port.addr().port(), setting))?;
    let prefix = folder.display().to_string();
    let command = [nginx, "-p".to_owned(), prefix, "-c".to_owned(), file.display().to_string()];
    let mut process = Process::start(kind.slug(), &command, setting.cores, folder)?;
    let until = Instant::now() + START_LIMIT;
    while !accepts(&port) && Instant::now() < until {
        sleep(POLL);
    }
    if !accepts(&port) {
        process.says("that it listens", |_| None::<()>)?;
    }
    Ok(Started { process, addr: port.addr(), admin: None, port: Some(port) })
}

fn accepts(port: &Port) -> bool {
    connect(port.addr(), None).is_ok()
}

fn config(kind: Kind, folder: &Path, port: u16, setting: &Setting) -> String {
    let folder = folder.display();
    let sending = match kind {
        Kind::NginxSendfile => "sendfile on; tcp_nopush on;",
        _ => "sendfile off; output_buffers 2 512k;",
    };
    let (listen, tls) = if setting.tls {
        let tls = format!(
            "ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3;"
        );
        (format!("127.0.0.1:{port} ssl"), tls)
    } else {
        (format!("127.0.0.1:{port}"), String::new())
    };
    format!(
        "worker_processes {workers}; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log warn;\n\
         worker_rlimit_nofile 16384;\n\
         events {{ worker_connections 8192; }}\n\
         http {{\n\
         access_log off; {sending} tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 75s;\n\
         open_file_cache max=1000 inactive=60s; reset_timedout_connection off; send_timeout 60s;\n\
         client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/fastcgi;\n\
         uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; proxy_temp_path {folder}/proxy;\n\
         proxy_cache_path {folder}/cache levels=1:2 keys_zone=cache:16m max_size=20g inactive=1d use_temp_path=off;\n\
         upstream registry {{ server {upstream}; keepalive 16; }}\n\
         server {{\n\
         listen {listen}; {tls}\n\
         location / {{\n\
         proxy_pass http://registry; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
         proxy_cache cache; proxy_cache_key $uri; proxy_cache_valid 200 1h;\n\
         proxy_ignore_headers Set-Cookie; proxy_hide_header Set-Cookie;\n\
         }} }} }}\n",
        workers = setting.cores.server_count(),
        upstream = setting.upstream.trim_start_matches("http://"),
    )
}

const START_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
