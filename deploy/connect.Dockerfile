# Kafka Connect: the official Kafka image, with Debezium and the Avro converter from the lock of the local stack.
ARG KAFKA_TAG
ARG PYTHON_TAG

FROM python:${PYTHON_TAG} AS plugins
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
COPY requirements-uv.txt requirements.txt ./
RUN pip install --require-hashes --requirement requirements-uv.txt \
 && uv pip install --system --constraint requirements.txt jgo rich
COPY stack stack
COPY deploy/connect_plugins.py deploy/connect_plugins.py
RUN python -m deploy.connect_plugins /plugins

FROM apache/kafka:${KAFKA_TAG}
COPY --from=plugins /plugins /opt/connect-plugins
EXPOSE 8083
USER appuser
CMD ["/opt/kafka/bin/connect-distributed.sh", "/etc/connect.properties"]
