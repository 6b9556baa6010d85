# Names, limits, logs and sizes, as users write them.
shell() { echo "> $1"; bash -c "$1" 2>/dev/null | sed -E 's/[0-9a-f]{64}/ID/g'; echo "=> ${PIPESTATUS[0]}"; }
export IMAGE
run='engine run --network none'
shell "$run --rm -v .hidden:/x \$IMAGE true; ls -A"
shell "$run --name ww \$IMAGE sh -c 'head -c 100000 /dev/zero >/f; ln /f /g; echo abc >/etc/new; ln -s abc /l; rm /etc/group'; engine ps -as --filter name=ww --format '{{.Size}}'
  engine inspect -s -f '{{.SizeRw}}' ww; engine container prune -f | tail -1"
shell "$run -d --name ww \$IMAGE sh -c 'head -c 5000 /dev/zero >/f; touch /done; sleep 100' >/dev/null; until engine exec ww test -e /done; do sleep 0.1; done
  engine ps -s --filter name=ww --format '{{.Size}}'; engine exec -w rel ww pwd; echo \$?; engine exec -w /nosuch ww pwd; echo \$?; engine rm -f ww"
shell "$run --name ww --log-opt max-size=2k --log-opt max-file=2 \$IMAGE sh -c 'i=0; while [ \$i -lt 200 ]; do i=\$((i+1)); echo line\$i; done' >/dev/null; engine logs ww | tail -1; n=\$(engine logs ww | wc -l); [ \$n -gt 25 ] && [ \$n -lt 70 ]; engine rm ww"
shell "$run --name ww --log-opt compress=true --log-opt max-size=2k --log-opt max-file=9 \$IMAGE sh -c 'i=0; while [ \$i -lt 150 ]; do i=\$((i+1)); echo line\$i; done' >/dev/null; engine logs ww | wc -l; engine logs --tail 120 ww | head -1; engine rm ww"
shell "$run --name ww --log-opt labels-regex=^a --log-opt env-regex=^E -l a1=1 -l b=1 -e E1=3 \$IMAGE echo x; engine logs --details ww; engine rm ww"
shell "$run --rm --log-opt labels-regex=[ \$IMAGE true"
shell "$run --rm --device-read-bps /dev/nosuch:1mb \$IMAGE true"
shell "$run --rm --device-read-bps /dev/null \$IMAGE true; $run --rm --device-write-iops /dev/null:-1 \$IMAGE true"
shell "disk=/dev/\$(ls /sys/block | head -1); engine create --name ww --device-read-bps \$disk:1mb --device-write-iops \$disk:20 \$IMAGE >/dev/null
  engine inspect -f '{{json .HostConfig.BlkioDeviceReadBps}} {{json .HostConfig.BlkioDeviceWriteIOps}} {{json .HostConfig.BlkioDeviceWriteBps}}' ww | sed s,\$disk,DISK,g; engine rm ww"
# Images that others were made on.
shell "engine create --name ww \$IMAGE >/dev/null; engine commit ww im:1 | cut -c1-7; engine inspect -f '{{json .Config.Labels}}' im:1; engine rm ww; engine create --name ww im:1 >/dev/null; engine commit ww im:2 | cut -c1-7; engine rm ww
  engine rmi \$(engine inspect -f '{{.Id}}' im:1); engine rmi im:1; engine images --format '{{.Repository}}:{{.Tag}}' | grep -c none; engine images -a --format '{{.Repository}}:{{.Tag}}' | grep -c none; engine rmi im:2 | sed -E 's/sha256:ID/sha/'; engine images -a | wc -l"
shell "engine tag \$IMAGE sv:1; engine tag \$IMAGE aa:2; engine save -o s.tar sv:1 aa:2; engine rmi sv:1 aa:2; engine load -i s.tar; engine rmi sv:1 aa:2"
for what in container image network volume system; do shell "echo n | engine $what prune | tail -1"; done
shell "echo n | engine system prune --filter label=a"
