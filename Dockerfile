# The image of the DaemonSet in deploy/podwire.yaml. The container installs what is in it on the node, and then runs
# what it installed there, in the node's own mount namespace: little of the image is used after that.
#
#   docker build -t podwire:0.1.0 .
#
# Where no registry is at hand both bases can be made with debootstrap: docs/kubernetes.md.

# Debian 12 with Node.js 20 or newer and npm; this one has gcc, too, but not musl. What is built needs no newer glibc
# than 2.28, whatever the base has: Node.js comes from npm (node-linux-*), and brings the lowest bound with it.
ARG BUILD_BASE=docker.io/library/node:24-bookworm

# Not distroless, though the executable needs only glibc, libstdc++ and libgcc: the DaemonSet enters the node with
# nsenter, which is in util-linux, and that is in every Debian. `slim` has the same packages without their documentation.
ARG RUNTIME_BASE=docker.io/library/debian:12-slim

FROM ${BUILD_BASE} AS build
WORKDIR /src

# musl-gcc makes the shim, gcc the addon, and strip takes 18 MB off Node.js.
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev musl-tools binutils \
 && rm -rf /var/lib/apt/lists/*

# Before the sources: as long as these three stay the same, so does the layer with node_modules, and a change in a
# source file is a build of seconds. .npmrc forbids install scripts.
COPY package.json package-lock.json .npmrc ./
RUN npm ci

# Only what the build reads: a change in a document or a test does not build anew.
COPY tsconfig.json ./
COPY native native
COPY scripts scripts
COPY lib lib
COPY cmd cmd
# Run once here, it puts its native addons beside itself (.podwire): in the DaemonSet its file system is read-only.
RUN npm run build && dist/bin/podwire version

FROM ${RUNTIME_BASE}

# Not the plugins' names: `podwire install` makes those. No RUN in this stage, so that it can be put together for another
# architecture without an emulator.
COPY --from=build /src/dist/bin/podwire /src/dist/bin/podwire-shim /opt/podwire/
COPY --from=build /src/dist/bin/.podwire /opt/podwire/.podwire

# Not /usr/local/bin: the shim is found beside the executable, and both by their full names.
ENV PATH=/opt/podwire:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# The DaemonSet names its own commands. `docker run --rm podwire:0.1.0 version` is this.
ENTRYPOINT ["/opt/podwire/podwire"]
CMD ["help"]
