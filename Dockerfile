# The image of clinch: one program and its dependencies.
#
#   docker build -t clinch --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) .
#
# BASE may carry a digest (debian:13-slim@sha256:...).  LIBCURL: static builds
# libcurl for HTTP and HTTPS from Debian's source package; debian takes
# Debian's shared library, with the 27 others that it needs, where the mirror
# has no source packages; auto is the first where it is available, and the list
# of parts in /usr/share/doc/clinch/sbom.spdx.json has the result.
#
# scripts/image/make runs the same lines without a container engine: each RUN
# of the build stage is one line for sh.
ARG BASE=debian:13-slim

FROM ${BASE} AS build
WORKDIR /usr/src/clinch
COPY scripts/install-deps scripts/
RUN scripts/install-deps build image
ARG LIBCURL=static
ARG CURL_SOURCES=
COPY scripts/image/build-curl scripts/image/
RUN scripts/image/build-curl build/image/curl "$LIBCURL"
COPY . .
RUN scripts/image/compile build/image/curl build/image/program
ARG SOURCE_DATE_EPOCH=0
RUN scripts/image/root build/image/curl build/image/program build/image/root

FROM scratch
ARG BASE
ARG LIBCURL=static
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="clinch" \
      org.opencontainers.image.description="TLS proxy whose OCSP staples survive outages and restarts" \
      org.opencontainers.image.licenses="BSD-2-Clause" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.base.name="$BASE" \
      clinch.libcurl="$LIBCURL"
COPY --from=build /usr/src/clinch/build/image/root/ /
USER 65532:65532
STOPSIGNAL SIGTERM
EXPOSE 8443
RUN ["/usr/sbin/clinch", "--version"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["/usr/sbin/clinch", "healthcheck"]
ENTRYPOINT ["/usr/sbin/clinch"]
