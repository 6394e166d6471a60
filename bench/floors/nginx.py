"""nginx as a reverse proxy and nothing else: what moving the bytes costs in C."""

import shutil
from pathlib import Path

# Bodies are kept in memory before they go on: of its ways the cheapest here.
_CONFIGURATION = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 600m;
  client_body_buffer_size 128m;
  keepalive_requests 100000000;
  upstream turbopuffer {{
    server 127.0.0.1:{upstream};
    keepalive 512;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://turbopuffer;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


def installed() -> bool:
    return shutil.which("nginx") is not None


def command(folder: Path, port: int, upstream: int) -> list[str]:
    """Write the configuration; give the words that start the server."""
    path = folder / "nginx.conf"
    path.write_text(_CONFIGURATION.format(folder=folder, port=port, upstream=upstream))
    return ["nginx", "-c", str(path)]
