# Build stage: this image brings the compiler, make and Python that the native packages need.
FROM node:22-bookworm AS build
WORKDIR /app
COPY package.json package-lock.json rolldown.config.js tsconfig.json ./
COPY bin bin
COPY src src
# npm ci runs the build too, by the prepare script.
RUN npm ci && npm prune --omit=dev

# Run stage: the same Debian and Node, so that the native packages fit.
FROM node:22-bookworm-slim
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/bin bin
COPY LICENSE ./
RUN mkdir /data && chown node:node /data
USER node
# Files named without a folder land in the volume, also when the options below are replaced.
WORKDIR /data
VOLUME /data
EXPOSE 6379
ENTRYPOINT ["node", "/app/bin/bitmapist-server"]
CMD ["--addr", ":6379", "--db", "/data/bitmapist.db"]
