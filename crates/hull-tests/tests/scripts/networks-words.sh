# Names, subnets and configurations that networks are made with, and what is said of ports. Identifiers
# are not compared.
IMAGE=busybox
run() {
    echo "\$ $*"
    engine "$@" 2>/dev/null | sed -E 's/[0-9a-f]{64}/ID64/g; s/\b[0-9a-f]{12}\b/ID12/g'
    echo "-> ${PIPESTATUS[0]}"
}
MADE='{{json .IPAM.Config}} {{.EnableIPv6}} {{json .Options}} {{json .Labels}} {{.Driver}} {{.ConfigOnly}} {{json .ConfigFrom}}'
made() {
    run network create "$@"
    run network inspect -f "$MADE" -- "${@: -1}"
    engine network rm -- "${@: -1}" >/dev/null 2>&1
}
PORTS='{{json .NetworkSettings.Ports}} {{json .HostConfig.PortBindings}} {{json .Config.ExposedPorts}}'
created() {
    run create --name c1 "$@" $IMAGE true
    run inspect -f "$PORTS" c1
    engine rm -f c1 >/dev/null 2>&1
}

for name in a/b 'a b' .x _x a:b 'a%b' 'a?b' 0123456789ab ' ' default none; do
    made --subnet 10.101.0.0/24 "$name"
done
for subnet in 10.101.0.9/24 10.101.0.0/30 10.101.0.0/31 10.101.0.0/32 10.101.0.0/0 10.101.0.0 '' \
    10.101.0.0/+24 10.101.0.0/33; do
    made --subnet "$subnet" x1 | sed 's/172\.[0-9]*\./172./g'
done
made --subnet fd00:101::/64 --subnet 10.101.0.0/24 --ipv6 x1
made --subnet fd00:101::7/64 --subnet 10.101.0.0/24 x1
made --subnet fd00:101::/128 --subnet 10.101.0.0/24 --ipv6 x1
made --subnet 10.101.0.0/24,10.102.0.0/24 x1
made --subnet 10.101.0.0/24 --subnet x x1
made --subnet 10.101.0.0/24 --gateway 10.101.0.1,10.101.0.2 x1
made --subnet 10.101.0.0/24 --gateway 10.101.0.1/24 x1
made --subnet 10.101.0.0/24 --gateway '' x1
made --subnet 10.101.0.0/31 --gateway 10.101.0.1 x1
made --subnet 10.101.0.0/24 --ip-range 10.101.0.130/25 x1
made --subnet 10.101.0.0/24 --ip-range 10.101.0.5 x1
made --subnet 10.101.0.0/24 --ip-range 10.102.0.0/25 x1
for address in 10.101.0.1 10.101.0.0 10.101.0.255 10.102.0.9 x; do
    made --subnet 10.101.0.0/24 --aux-address "a=$address" x1
done
made --subnet 10.101.0.0/24 --aux-address a=10.101.0.9 --aux-address b=10.101.0.9 x1
made --subnet 10.101.0.0/24 -o com.docker.network.driver.mtu=0 x1
made --subnet 10.101.0.0/24 -o com.docker.network.driver.mtu=x x1
made --subnet 10.101.0.0/24 -o com.docker.network.container_iface_prefix=foo x1
made --subnet 10.101.0.0/24 -d default x1

run network create --config-only --subnet 10.101.0.0/24 --gateway 10.101.0.9 --label l=m co
run network create --config-only --subnet 10.101.0.0/24 co2
run network create --config-only --internal co3
run network create --config-only --config-from co co3
run network create --config-from co x1
run network create --config-from co --label q=r x2
run network create --config-from co -o a=b x2
run network create --config-from co2 x2
run network create --config-from bridge x2
run network inspect -f "$MADE" co co2 x1
run network ls --filter type=custom --format '{{.Name}} {{.Driver}}'
run network rm co
run run --rm --network co $IMAGE true
run run --rm --network x1 $IMAGE ip route
run network rm x1 co co2

run network create --subnet 10.101.0.0/24 n1
run network create --subnet 10.102.0.0/24 --ip-range 10.102.0.128/25 -o com.docker.network.container_iface_prefix=net n2
run network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{.IPRange}} {{.AuxAddress}}{{end}}' n1 n2
run network inspect -f '{{(index .IPAM.Config 0).Gateway}} {{.Peers}} {{.Services}} {{.Containers}}' n1
run network inspect --verbose -f '{{.Name}}' n1
run network ls -q --format '{{.Name}}' --filter name=n1
run network ls -q --format table --filter name=n1
run network rm ''
run network inspect ''
run create --name s1 --network n1 $IMAGE ip route
run inspect -f '{{.NetworkSettings.Networks.n1.IPAMConfig.IPv4Address}}' s1
run network connect n1 s1
run network connect host s1
run network connect none s1
run network connect nonsense s1
run network disconnect nonsense s1
run network disconnect nonsense s1
run network connect --ip6 fd00::9 n2 s1
run network connect --ip 172.17.0.9 bridge s1
run network connect --alias q bridge s1
run network connect --driver-opt a=b n2 s1
run network connect --driver-opt a n2 s1
run inspect -f '{{json .NetworkSettings.Networks.n2.DriverOpts}}' s1
run network disconnect n1 s1
run start -a s1
run rm s1
run create --name s1 --network none $IMAGE ip route
run network connect n2 s1
run network disconnect none s1
run network connect n2 s1
run start -a s1
run rm s1
run run -d --name s1 --network n1 $IMAGE sleep 1000
run network connect --ip 10.102.0.255 n2 s1
run network connect --ip 10.102.0.0 n2 s1
run network connect --alias q bridge s1
run network connect nonsense s1
run rm -f s1
begin=$(date +%s.%N)
run create --name s1 --network n1 $IMAGE sleep 1000
run network disconnect n1 s1
run start s1
run network connect n1 s1
run exec s1 ip route
run stop -t 0 s1
run network connect n2 s1
run rm s1
run network rm n1 n2
engine events --since "$begin" --until "$(date +%s.%N)" --filter type=network \
    --format '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}'

for port in 80/ 80/udp/tcp +80:80 '[::1:80:80' 8080/udp:80 80:80-81 target=80 \
    target=80,published=8080,protocol=udp target=x target; do
    created -p "$port"
done
for port in 80/ 80-82/udp 82-80 '' 70000 80:80; do
    created --expose "$port"
done
created --network ''
created --add-host a:nonsense
created --add-host a:b:1.2.3.4
created --label 'a b=c'
run run -d --name p1 --network none -p 127.0.0.1:41090:80 $IMAGE sleep 1000
run ps --format '{{.Ports}}'
run inspect -f "$PORTS" p1
run rm -f p1
run run -d --name p1 -p 127.0.0.1:41090:80 $IMAGE sleep 1000
for port in 80 80/udp 81 x ''; do run port p1 "$port"; done
run port p1 80 81
run rm -f p1
