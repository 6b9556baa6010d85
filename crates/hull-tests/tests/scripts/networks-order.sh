# Which interface is which, and where the default route leads, of containers in several networks; and
# words of network commands. Identifiers are not compared.
IMAGE=busybox
run() {
    echo "\$ $*"
    engine "$@" 2>/dev/null | sed -E 's/[0-9a-f]{64}/ID64/g; s/\b[0-9a-f]{12}\b/ID12/g'
    echo "-> ${PIPESTATUS[0]}"
}
interfaces() {
    engine exec c1 sh -c 'ip -o -4 addr show scope global; ip route | grep default' |
        sed -E 's/^[0-9]+: //; s/ +/ /g' | sort
}

run network create --subnet 10.91.0.0/24 zz
run network create --subnet 10.92.0.0/24 aa
run network create --subnet 10.93.0.0/24 mm
run network create --subnet 10.94.0.0/24 --internal ii
run network create --subnet 10.95.0.0/24 --subnet fd00:95::/64 --ipv6 vv
run create --name c1 --network zz $IMAGE sleep 1000
for name in mm ii aa; do run network connect $name c1; done
run start c1
interfaces
run network connect vv c1
interfaces
run network disconnect mm c1
interfaces
run network connect mm c1
interfaces
run network disconnect vv c1
interfaces
run restart -t 0 c1
interfaces
for name in ii aa mm zz; do run network disconnect $name c1; done
interfaces
run network connect vv c1
interfaces
run restart -t 0 c1
interfaces
run exec c1 cat /etc/hosts
run inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.Gateway}} {{$v.IPv6Gateway}} {{$v.GlobalIPv6Address}}/{{$v.GlobalIPv6PrefixLen}};{{end}}' c1
run inspect -f '{{.HostConfig.NetworkMode}} {{.NetworkSettings.IPAddress}}' c1
run ps --filter network=vv --format '{{.Names}}'
run ps --filter network=zz --format '{{.Names}}'

run network inspect
run network inspect -f '{{len .Containers}}' vv aa
run network inspect -f '{{range .Containers}}{{.Name}} {{.IPv6Address}}{{end}}' vv
run network inspect -f '{{.Nonsense}}' vv
run network inspect -f '{{' vv
run network inspect --format '{{.Scope}} {{.Attachable}} {{.Ingress}} {{.ConfigOnly}} {{json .ConfigFrom}}' bridge host none vv
run network inspect -f '{{json .Options}}' host none
run network inspect -f '{{json .IPAM.Config}}' host none vv
run network ls nonsense
run network ls -q --no-trunc --filter name=vv
run network ls --filter name=^v --format '{{.Name}}'
run network ls --filter driver=nonsense --format '{{.Name}}'
run network ls --filter driver=host --filter driver=null --format '{{.Name}}'
run network ls --filter scope=local --filter type=custom --format '{{.Name}}'
run network ls --filter scope=swarm --format '{{.Name}}'
run network ls --filter scope=nonsense
run network ls --filter type=nonsense
run network ls --filter dangling=nonsense
run network ls --format 'table {{.Name}}\t{{.Driver}}\t{{.Scope}}' --filter type=custom
run network ls --format '{{.Nonsense}}'
run network rm
run network rm bridge
run network rm host none
run network rm vv
run network rm -f nonsense
run network rm -f vv nonsense
run network connect
run network connect vv
run network connect bridge c1
run network connect host c1
run network connect none c1
run network connect --ip 10.92.0.300 aa c1
run network connect --ip 10.99.0.3 aa c1
run network connect --ip 10.92.0.1 aa c1
run network connect --ip 10.92.0.44 --ip6 fd00::3 aa c1
run network connect --ip 10.92.0.44 aa c1
run network disconnect aa nonsense
run network disconnect nonsense c1
run network disconnect -f nonsense c1
run network disconnect -f aa nonsense
run network disconnect host c1
run network create --subnet 10.96.0.0/24 --gateway 10.96.0.0 x1
run network create --subnet 10.96.0.0/24 --gateway 10.96.0.255 x2
run network create --subnet 10.98.0.0/33 x5
run network create --label a --label b=c=d --subnet 10.99.0.0/24 x6
run network inspect -f '{{json .Labels}}' x6
run network ls --filter label=a --format '{{.Name}} {{.Label "b"}}'
run network ls --filter label=b=c --format '{{.Name}}'
run network create ''
run network create --attachable --subnet 10.100.0.0/24 x7
run network inspect -f '{{.Attachable}} {{.ConfigOnly}}' x7
run stop -t 0 c1
run network inspect -f '{{len .Containers}}' vv
run network rm vv
run start c1
run network prune -f --filter nonsense=1
# All have been there for longer than a second, however fast this goes.
sleep 1.1
run network prune -f --filter label!=a --filter until=1s | sort
run network prune -f --filter label=a
run network prune -f --filter label=a
run rm -f c1
run network rm zz aa mm ii
run network ls --filter type=custom --format '{{.Name}}'
run network prune -f | sort
