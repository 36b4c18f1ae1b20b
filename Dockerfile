# The page and the API in a container: small, not root, and able to run on a read-only file system.
#
#   docker build -t fugato .
#   docker run --read-only --tmpfs /data:uid=10001,mode=700 -p 127.0.0.1:8000:8000 -e FUGATO_TOKEN="$(openssl rand -hex 16)" fugato
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE WEIGHTS.md CHANGELOG.md ./
COPY src ./src
RUN python -m venv /opt/fugato \
    && PIP_CONSTRAINT=constraints.txt /opt/fugato/bin/pip install --no-cache-dir --no-compile '.[serve]' \
    && /opt/fugato/bin/python -m compileall -q /opt/fugato/lib

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin fugato \
    && install -d -o fugato -m 700 /data
COPY --from=build /opt/fugato /opt/fugato
ENV FUGATO_HOME=/data HOME=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/opt/fugato/bin/python", "-c", \
    "import os; from fugato.serve import Client; Client(token=os.environ['FUGATO_TOKEN']).health()"]
ENTRYPOINT ["/opt/fugato/bin/fugato", "serve", "--host", "0.0.0.0", "--port", "8000"]
