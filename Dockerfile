# An image of one of the programs: docker build --build-arg PROGRAM=source-controller -t sluice/source-controller .
# All in one: docker build --target all -t sluice/sluice .
# They run as nobody and write nothing but to /tmp and /data.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# What runs in a cluster and the command line; not the demo and the benchmarks.
ARG PROGRAMS="source-controller kustomize-controller helm-controller notification-controller image-controller sluice"
RUN mkdir -p /out /empty && for program in $PROGRAMS; do packages="$packages --package $program"; done && \
    cargo build --release --bins --locked $packages && \
    for program in $PROGRAMS; do cp target/release/$program /out/; done
# The C library and its loader, as the programs were measured with them.
RUN mkdir /libraries && ldd /out/* | awk '$2 == "=>" { print $3 } $1 ~ /^\// && NF == 2 { print $1 }' | sort -u | \
    xargs cp --parents --dereference --target-directory=/libraries

FROM scratch AS all
COPY --from=build /libraries/ /
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65534:65534 /empty /tmp
COPY --from=build --chown=65534:65534 /empty /data
COPY --from=build /out/ /usr/local/bin/
USER 65534:65534
ENV PATH=/usr/local/bin
CMD ["sluice"]

FROM scratch AS one
ARG PROGRAM
COPY --from=build /libraries/ /
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65534:65534 /empty /tmp
COPY --from=build --chown=65534:65534 /empty /data
COPY --from=build /out/${PROGRAM} /program
USER 65534:65534
ENTRYPOINT ["/program"]
