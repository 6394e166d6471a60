# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml setup.py constraints.txt README.md ./
COPY ext ext
COPY hevfast hevfast
RUN python -m venv /opt/hevfast && /opt/hevfast/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim
COPY --from=build /opt/hevfast /opt/hevfast
RUN useradd --system --uid 10001 hevfast
USER 10001
ENV HOST=0.0.0.0 PORT=8080 PATH=/opt/hevfast/bin:$PATH
EXPOSE 8080
HEALTHCHECK CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=2)"]
ENTRYPOINT ["hevfast"]
CMD ["serve"]
