# A gateway for production. It needs MONGODB_URI, the URI of a MongoDB replica set or cluster; the host names that clients
# use; and a file of API keys that only its user, 10001, may read, or else TURNWIRE_AUTH=none. The image makes the file:
#   docker build -t turnwire .
#   (umask 077; docker run --rm turnwire key me --scope admin >keys.ndjson)
#   sudo chown 10001 keys.ndjson
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -m 2g -p 127.0.0.1:3000:3000 \
#     -e MONGODB_URI='mongodb://db1,db2,db3/?replicaSet=rs0' -e TURNWIRE_ALLOWED_HOSTS=gateway.example.com \
#     -e TURNWIRE_API_KEYS_FILE=/run/keys -v ./keys.ndjson:/run/keys:ro turnwire
#
# The base image is named by its digest, in both places. This command shows the digest:
#   docker buildx imagetools inspect python:3.13-slim
# Packages are pinned by their digests as well: `make lock` updates requirements/*.lock.

FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements requirements
RUN python -m venv /opt/turnwire \
 && /opt/turnwire/bin/pip install --require-hashes --only-binary :all: -r requirements/server.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements/build.lock
COPY . .
RUN /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel \
 && /opt/turnwire/bin/pip install --no-deps --no-index /tmp/wheel/turnwire-*.whl \
 && /opt/turnwire/bin/pip check

FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
LABEL org.opencontainers.image.title="turnwire" org.opencontainers.image.licenses="MIT"
# The base image has no bytecode of Python's own modules. Without it, every start would compile them again.
RUN groupadd --gid 10001 turnwire \
 && useradd --uid 10001 --gid turnwire --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin turnwire \
 && python -m compileall -q -x '/(site-packages|ensurepip|idlelib|pydoc_data|tkinter|turtledemo)/' /usr/local/lib/python3.13
COPY --from=build /opt/turnwire /opt/turnwire
ENV PATH="/opt/turnwire/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=3000
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-IS", "-c", "import http.client, os, sys; asked = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); asked.request('GET', '/health/live'); sys.exit(asked.getresponse().status != 200)"]
ENTRYPOINT ["turnwire"]
CMD ["serve"]
