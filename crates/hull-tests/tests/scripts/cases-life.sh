# Containers, volumes and images that change.
shell() { echo "> $1"; bash -c "$1" 2>/dev/null; echo "=> $?"; }
export IMAGE
run='engine run --network none'
# A volume is filled for others as soon as a container is created for it.
shell "engine create --name cc --network none -v filled:/etc \$IMAGE >/dev/null; $run --rm -v filled:/v \$IMAGE ls /v | grep -E 'passwd|group'; engine rm cc"
shell "$run --name cc -v vol:/v \$IMAGE sh -c 'echo b > /v/b'; engine system df --format '{{.Type}} {{.TotalCount}} {{.Active}}' | grep -v Images
  engine system df -v --format '{{range .Volumes}}{{.Name}} {{.Links}} {{.Size}};{{end}}' | tr ';' '\n' | grep vol
  engine system df -v --format '{{range .Containers}}{{.Names}} {{.LocalVolumes}}{{end}}'
  engine system prune -f --filter until=1h; engine image prune -f --filter until=1h; engine network prune -f --filter until=1h; engine container prune -f --filter label!=x | tail -1 | cut -c1-9"
shell "$run -v /d:/m -v /d:/m --rm \$IMAGE true; rmdir /d"
shell "$run -d --name cc -v vol:/v \$IMAGE sh -c 'sleep 100 & wait' >/dev/null; sleep 1; engine top cc | wc -l
  for o in -x aux -e -f; do engine top cc \$o | head -1 | tr -s ' '; done; engine top cc -o pid,stat,comm | awk 'NR>1{print \$3}'; engine top cc -eo pid,user,args | awk 'NR>1{print \$2,\$3}'
  engine top cc -o user; engine top cc -o pid,nosuch; engine rm -f cc; sleep 1.5
  engine events --since 20s --until 0s --filter volume=vol --format '{{.Action}}' | tail -2; engine volume rm vol"
shell "$run -d --name cc --health-cmd 'exit 0' --health-interval 1s \$IMAGE sleep 100 >/dev/null; sleep 2.5; engine rm -f cc >/dev/null; sleep 1.5
  engine events --since 20s --until 0s --filter container=cc --format '{{.Action}}' | sed 's/: /=/' | grep -E 'exec|health' | sort -u"
$run --name cc -e A=1 --health-cmd true "$IMAGE" sh -c 'echo a > /a'
c() { echo "> $*"; engine commit -p=false "$@" cc im:1 >/dev/null 2>&1 && engine inspect -f '{{json .Config.Cmd}} {{json .Config.Entrypoint}} {{json .Config.Healthcheck}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.WorkingDir}} {{.Config.User}} {{range .Config.Env}}{{.}};{{end}}' im:1 | sed 's/PATH[^;]*;//'; echo "=$?"; engine rmi -f im:1 >/dev/null 2>&1; }
c; c -c CMD; c -c 'CMD []'; c -c 'ENTRYPOINT ["a"]'; c -c 'EXPOSE 80-82'; c -c 'EXPOSE a'; c -c 'ENV X=1 Y=$X' -c 'ENV Z=${X}2'; c -c 'HEALTHCHECK --interval=1s --retries=2 CMD ["a"]'
c -c 'HEALTHCHECK --foo=1 CMD x'; c -c 'VOLUME /a /b'; c -c 'USER a b' -c 'WORKDIR /x'; c -c '# x'; c -c 'ENV A="x y" B=z\ w'
engine rm cc
shell "$run --rm \$IMAGE yes | head -1; echo \${PIPESTATUS[0]}"
shell "$run --rm -a stdin \$IMAGE cat </dev/null; echo x | $run --rm -i -a stdout \$IMAGE cat"
shell "engine create --name aa \$IMAGE sleep 100 >/dev/null; engine update -m 32m aa; engine update -m 32m --memory-swap 64m aa; engine start aa nosuch; engine pause aa nosuch; engine unpause nosuch aa; engine stop -t 0 nosuch aa; engine restart -t 0 aa nosuch; engine inspect -f '{{.Name}}' aa nosuch; engine wait nosuch; engine kill nosuch aa; engine rm -f aa nosuch"
shell "engine create --name ee \$IMAGE >/dev/null; engine export ee | tar tv | grep -E ' (etc/passwd|tmp/|bin/ls|.dockerenv)' | awk '{print \$1,\$2,\$NF}' | sort; engine rm ee"
engine volume prune -af >/dev/null 2>&1 || engine volume prune -f >/dev/null
