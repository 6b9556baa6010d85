# What networks and containers in them look like. Identifiers, and what docker's own name server
# is called, are not compared.
IMAGE=busybox
run() {
    echo "\$ $*"
    engine "$@" 2>/dev/null | sed -E 's/[0-9a-f]{64}/ID64/g; s/\b[0-9a-f]{12}\b/ID12/g'
    echo "-> ${PIPESTATUS[0]}"
}
ENDPOINTS='{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.IPAddress}}/{{$v.IPPrefixLen}} {{$v.Gateway}} {{$v.MacAddress}} {{$v.GlobalIPv6Address}};{{end}}'
IPAM='{{json .IPAM}} {{.EnableIPv6}} {{.Internal}} {{json .Options}} {{json .Labels}}'

run network create
run network create --subnet 10.81.0.0/24 na
run network create na
run network create --subnet 10.82.0.0/24 --gateway 10.82.0.9 --ip-range 10.82.0.64/26 --aux-address x=10.82.0.64 nb
run network create --subnet 10.82.0.0/16 nc
run network create --subnet 10.83.0.0/24 --gateway 10.84.0.1 nc
run network create --subnet nonsense nc
run network create --gateway 10.83.0.1 nc
run network create --subnet 10.83.0.0/24 --ip-range 10.84.0.0/28 nc
run network create --subnet 10.83.0.0/24 --subnet 10.84.0.0/24 nc
run network create --driver nonsense nc
run network create --driver host nc
run network create --ipam-driver nonsense nc
run network create --scope swarm nc
run network create --ingress nc
run network create bridge
run network create --ipv6 --subnet 10.83.0.0/24 --subnet fd00:83::/64 n9
run network create --internal --label x=y -o com.docker.network.driver.mtu=1400 --subnet 10.84.0.0/24 n10
run network create -o com.docker.network.bridge.enable_icc=false -o foo=bar -o org.example.x=y --subnet 10.85.0.0/24 n11
run network create -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 --subnet 10.86.0.0/24 n12
for name in na nb n9 n10 n11 n12; do run network inspect -f "$IPAM" "$name"; done
run network ls --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.IPv6}} {{.Labels}}'
run network ls --filter label=x=y --filter driver=bridge --format '{{.Name}}'
run network ls --filter type=builtin --format '{{.Name}}'
run network ls --filter dangling=false --format '{{.Name}}'
run network ls --filter name=n1 --format '{{.Name}}'
run network ls --filter nonsense=1
run network inspect nonsense
run network inspect -f '{{.Name}}' na nonsense nb

run run -d --name c1 --network na --network-alias al1 -h myhost $IMAGE sleep 1000
run inspect -f "$ENDPOINTS" c1
run exec c1 cat /etc/hosts
run exec c1 ip route
run exec c1 ip -o -4 addr show dev eth0 scope global | sed 's/^[0-9]*://'
for name in c1 c1.na al1 myhost; do run exec c1 nslookup -type=a $name | grep '^Address: 10'; done
run exec c1 nslookup 10.81.0.2 | grep name
run run -d --name c2 --network nb $IMAGE sleep 1000
run inspect -f "$ENDPOINTS" c2
run exec c2 ip route
run network connect --ip 10.82.0.77 --alias zz nb c1
run network connect nb c1
run network connect nb nonsense
run network connect nonsense c1
run exec c1 cat /etc/hosts
run exec c1 ip route
run exec c2 nslookup -type=a zz | grep '^Address: 10'
run inspect -f "$ENDPOINTS" c1
run ps --format '{{.Networks}}' --filter name=c1 | tr , '\n' | sort
run ps --filter network=nb --format '{{.Names}}'
run network rm nb
run network disconnect na c1
run exec c1 ip route
run exec c1 nslookup -type=a c2 | grep '^Address: 10'
run network disconnect na c1
run inspect -f "$ENDPOINTS" c1
run rename c2 c9
run exec c1 nslookup -type=a c9 | grep '^Address: 10'
run exec c1 ping -c 1 -W 2 c2 >/dev/null
run network disconnect nb c1
run inspect -f "$ENDPOINTS" c1
run exec c1 ip route
run network connect na c1
run restart -t 0 c1
run inspect -f "$ENDPOINTS" c1
run network inspect -f '{{range .Containers}}{{.Name}} {{.IPv4Address}} {{.MacAddress}};{{end}}' na

run run --rm --network nonsense $IMAGE true
run run --rm --network na --ip 10.99.0.50 $IMAGE true
run run --rm --network na --ip nonsense $IMAGE true
run run --rm --network bridge --ip 172.17.0.50 $IMAGE true
run run --rm --network bridge --network-alias q $IMAGE true
run run --rm --network none -p 80:80 $IMAGE ls /sys/class/net/eth0
run run --rm --network bridge --link-local-ip 169.254.3.4 $IMAGE ip -o -4 addr show dev eth0 | sed 's/^[0-9]*://'
run run --rm --network na --dns 1.2.3.4 --dns-search foo.example --dns-option ndots:3 $IMAGE grep -v nameserver /etc/resolv.conf
run run --rm --network bridge --dns 1.2.3.4 --dns-search foo.example $IMAGE cat /etc/resolv.conf
run run --rm --network na --dns-search . $IMAGE grep -v nameserver /etc/resolv.conf
run run --rm --network bridge -h hh --domainname dd.ee --add-host h1:1.2.3.4 --add-host h3=fd00::1 $IMAGE cat /etc/hosts
run run --rm --network bridge -p 70000:80 $IMAGE true
run run --rm --network bridge -p 80:80/nonsense $IMAGE true
run run --rm --network bridge -p 1-3:1-2 $IMAGE true

run run -d --name p1 --network bridge -p 127.0.0.1:38080:80 -p 127.0.0.1:38081:81/udp -p 127.0.0.1:38090-38092:90-92 --expose 7000 $IMAGE sleep 1000
run port p1
run port p1 80
run port p1 81/udp
run port p1 99
run ps --filter name=p1 --format '{{.Ports}}'
run ps --filter publish=38081/udp --format '{{.Names}}'
run ps --filter publish=81/udp --format '{{.Names}}'
run ps --filter expose=7000 --format '{{.Names}}'
run ps --filter publish=82 --format '{{.Names}}'
run inspect -f '{{json .NetworkSettings.Ports}} {{json .HostConfig.PortBindings}} {{json .Config.ExposedPorts}}' p1
run run --rm --network bridge -p 127.0.0.1:38080:80 $IMAGE true
run stop -t 0 p1
run port p1
run ps -a --filter name=p1 --format '{{.Ports}}'
run start p1
run port p1 80/tcp
run rm -f c9
run network rm nb nonsense
run start c9
run network disconnect -f nb c1
run network prune -f --filter label=x
run rm -f c1 p1
run network rm na n9 n11 n12
run network ls --format '{{.Name}}'
