#!/usr/bin/env bash
# Apache RocketMQ on loopback, to test against: a name server and two masters, fresh, until ^C. Needs a JDK (17), Maven
# and Maven Central.
#
#   tools/apache-rocketmq/run.sh DIR        jars, stores and logs go to DIR; the name server listens on NAME_SERVER_PORT
#   SHOP_TEST_NAME_SERVER=127.0.0.1:9876 cargo test -p shop-broker --test it rocketmq -- --test-threads 1
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?where jars, stores and logs may be}
name_server=127.0.0.1:${NAME_SERVER_PORT:-9876}

mkdir -p "$dir" && cd "$dir"
if [ ! -d lib ]; then
  mvn -q -B -f "$here/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$PWD/lib.part"
  mv lib.part lib
fi
rm -rf store && mkdir store

# start NAME MAIN ARGS…
start() {
  local name=$1
  shift
  ROCKETMQ_HOME=$PWD java -Xmx512m -XX:MaxDirectMemorySize=256m -Duser.home="$PWD" \
    --add-opens java.base/java.nio=ALL-UNNAMED --add-opens java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens java.base/java.lang=ALL-UNNAMED -cp "$PWD/lib/*" "$@" >"$name.log" 2>&1 &
}
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
trap exit INT TERM

printf 'listenPort=%s\nbindAddress=127.0.0.1\n' "${name_server#*:}" >name-server.conf
start name-server org.apache.rocketmq.namesrv.NamesrvStartup -c name-server.conf
for master in a b; do
  port=$([ $master = a ] && echo 10911 || echo 10921)
  cat >"broker-$master.conf" <<CONF
brokerClusterName=shop
brokerName=broker-$master
brokerId=0
brokerRole=ASYNC_MASTER
flushDiskType=SYNC_FLUSH
namesrvAddr=$name_server
brokerIP1=127.0.0.1
bindAddress=127.0.0.1
listenPort=$port
haListenPort=$((port + 1))
storePathRootDir=$PWD/store/$master
storePathCommitLog=$PWD/store/$master/commitlog
mappedFileSizeCommitLog=67108864
mappedFileSizeTimerLog=10485760
CONF
  start "broker-$master" org.apache.rocketmq.broker.BrokerStartup -c "broker-$master.conf"
done

# A broker listens some seconds before its topics have a route.
route() {
  java -Duser.home="$PWD" -cp "$PWD/lib/*" org.apache.rocketmq.tools.command.MQAdminStartup topicRoute -n "$name_server" -t TBW102
}
until route 2>/dev/null | grep -q broker-a && route 2>/dev/null | grep -q broker-b; do
  [ "$(jobs -rp | wc -l)" = 3 ] || { echo "a process has ended; see the logs in $PWD" >&2; exit 1; }
  sleep 1
done
echo "Apache RocketMQ up: name server $name_server"
wait
