# Links between containers. Order of lines and variables is not docker's to promise.
IMAGE=busybox; export IMAGE
shell() { echo "> $1"; bash -c "$1" 2>/dev/null | sed -E 's/[0-9a-f]{64}/ID/g; s/\b[0-9a-f]{12}\b/SHORT/g; s/172\.[0-9]+\.[0-9]+\.([0-9]+)/NET.\1/g'; echo "=> ${PIPESTATUS[0]}"; }
engine network create mine >/dev/null
shell 'engine run -d --name db -e A=1 -e PATH=/bin --expose 5432 --expose 80-82 --expose 53/udp -h dbhost $IMAGE sleep 1000 >/dev/null
  engine run --name web -e B=2 -e DB_NAME=mine --link db:the-db --link db $IMAGE sh -c "env | sort; sort /etc/hosts"'
shell 'engine inspect -f "{{json .HostConfig.Links}}" web | tr , "\n" | tr -d "[]" | sort; engine inspect -f "{{json .NetworkSettings.Networks.bridge.Links}}" web'
shell 'engine ps -a --no-trunc --format "{{.Names}}"; engine ps -a --format "{{.Names}}"; engine ps -a --format "{{.Names}}" -f name=the-db; engine inspect -f "{{.Name}}" web/the-db'
shell 'engine rename db db2; engine inspect -f "{{json .HostConfig.Links}}" web | tr , "\n" | tr -d "[]" | sort; engine start -a web | grep NET | sort'
shell 'engine run -d --name w2 --link db2:x $IMAGE sleep 100 >/dev/null; engine exec w2 ping -c 1 -w 9 x >/dev/null; echo $?; engine exec w2 env | grep X_NAME; engine rm -f w2'
shell 'engine rm --link web/the-db; engine inspect -f "{{json .HostConfig.Links}}" web; engine rm --link web/nosuch; engine rm --link web; engine rm --link nosuch/x'
shell 'for link in nosuch:x a:b:c ""; do engine run --rm --link "$link" $IMAGE true; echo $?; done; engine run --rm --network none --link db2:x -h none $IMAGE env | sort'
shell 'engine run -d --network mine --name srv $IMAGE sleep 100 >/dev/null; engine create --name u1 --network mine --link srv:ali $IMAGE ping -c1 -w9 ali >/dev/null
  engine inspect -f "{{json .HostConfig.Links}} {{json .NetworkSettings.Networks.mine.Links}}" u1; engine start -a u1 | tail -n 2 | head -1; engine run --rm --network mine $IMAGE ping -c1 -w9 ali; echo $?
  engine create --name c5 $IMAGE true >/dev/null; engine network connect --link srv:zz mine c5; engine inspect -f "{{json .NetworkSettings.Networks.mine.Links}}" c5; engine rm -f srv u1 c5'
shell 'engine stop -t 0 db2; engine start -a web; echo $?; engine inspect -f "{{.State.ExitCode}}" web; engine run --link db2:d $IMAGE true; echo $?; engine run --name w8 --link db2:d --link web:d $IMAGE true; echo $?'
shell 'engine rm -f db2; engine inspect -f "{{json .HostConfig.Links}}" web; engine start -a web; engine ps -aq | xargs engine rm -f >/dev/null; engine network rm mine'
