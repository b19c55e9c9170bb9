# A gateway for production. It needs MONGODB_URI, the URI of a MongoDB replica set or cluster, the host names by which
# clients reach it, and a file of API keys (made by `turnwire key`) that only its user, 10001, may read, or
# TURNWIRE_AUTH=none.
#   docker build -t turnwire .
#   docker run --read-only --tmpfs /tmp -p 3000:3000 -e MONGODB_URI='mongodb://db1,db2,db3/?replicaSet=rs0' \
#     -e TURNWIRE_ALLOWED_HOSTS=gateway.example.com -e TURNWIRE_API_KEYS_FILE=/run/keys -v ./keys:/run/keys:ro turnwire

FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/turnwire
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY . .
RUN /opt/turnwire/bin/pip install '.[server]'

FROM python:3.13-slim
LABEL org.opencontainers.image.title="turnwire" org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 turnwire \
 && useradd --uid 10001 --gid turnwire --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin turnwire
COPY --from=build /opt/turnwire /opt/turnwire
ENV PATH="/opt/turnwire/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=3000
USER turnwire
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/health/live\", timeout=2)"]
ENTRYPOINT ["turnwire"]
CMD ["serve"]
