# Images made of containers and archives; archives of images; lists, history, removal.
shell() { echo "$1"; bash -c "$1" 2>/dev/null; echo "=> $?"; }
mask() { sed -E 's/[0-9a-f]{64}/ID/g; s/\b[0-9a-f]{12}\b/SHORT/g; s#(Less than a second|[0-9]+ seconds?|About [a-z]+ [a-z]+|[0-9]+ (minutes?|hours?|days?|weeks?)) ago#AGO#; s#  +# #g'; }
export -f mask
export IMAGE

engine run --network none --name box -e A=1 -l x=y "$IMAGE" sh -c 'echo hi >/new; rm /bin/yes; mkdir -p /d/e; rm -rf /etc/group'
shell "engine commit box | mask"
shell "engine commit -a me -m msg -c 'CMD [\"cat\",\"/new\"]' -c 'ENV B=2' -c 'LABEL k=v' -c 'EXPOSE 80' -c 'WORKDIR /tmp' -c 'USER www' box made:1 | mask"
shell "engine images --format '{{.Repository}} {{.Tag}} {{.Size}}' | sort"
shell "engine run --rm --network none made:1"
shell "engine run --rm --network none -u 0 made:1 sh -c 'ls /bin/yes; ls /etc/group; find /d'"
shell "engine inspect -f '{{json .Config.Cmd}} {{json .Config.Env}} {{json .Config.Labels}} {{json .Config.ExposedPorts}} {{.Config.WorkingDir}} {{.Config.User}} {{.Author}} {{.Comment}} {{len .RootFS.Layers}} {{.Architecture}} {{.Os}} {{json .Config.Entrypoint}}|{{.Parent}}' made:1 | mask"
for options in '' --no-trunc -q -qH=false "--format '{{.ID}} {{.Size}} {{.Comment}} {{.CreatedBy}}'"; do
    shell "engine history $options made:1 | mask"
done
shell "engine history nosuch"
shell "engine history"
shell "engine commit nosuch"
shell "engine commit"
shell "engine commit box UPPER"
shell "engine commit -c 'RUN x' box"
shell "engine commit a b c"
shell "engine export box | engine import - imp:1 | mask; engine run --rm --network none imp:1 cat /new"
shell "engine history imp:1 | mask"
shell "engine inspect -f '{{json .Config.Cmd}} {{.Comment}} {{.Architecture}} {{len .RootFS.Layers}}' imp:1"
shell "engine export box | engine import -c 'CMD cat /new' -m why - imp:2 | mask; engine run --rm --network none imp:2; engine history imp:2 | mask"
shell "engine export box | gzip > e.tgz; engine import e.tgz | mask; engine import nosuch; echo garbage | engine import -; engine import"
shell "engine tag \$IMAGE a/b:c; engine save a/b:c made:1 | tar t | grep -cE '^(manifest.json|repositories)\$'"
shell "engine save -o s.tar a/b:c made:1 imp:1; stat -c %a s.tar; engine save nosuch | wc -c; engine save; engine save -o /nosuch/x \$IMAGE"
shell "engine rm box; engine rmi a/b:c; engine rmi made:1 imp:1 imp:2 | grep Untagged; engine load -i s.tar | sort"
shell "engine run --rm --network none made:1; engine run --rm --network none imp:1 cat /new"
shell "engine images -f dangling=true -q | wc -l; engine image prune -f | mask | sed 's/space: .*/space/' | sort; engine images -q -f dangling=true; engine image prune -f"
shell "engine images --format '{{.Repository}}:{{.Tag}}' | sort; engine images -f reference='ma*' --format '{{.Repository}}'; engine images -f label=k=v --format '{{.Repository}}'"
shell "engine images -f before=made:1 --format '{{.Repository}}' | sort; engine images -f since=\$IMAGE --format '{{.Repository}}' | sort; engine images -f nosuch=1; engine images made --format '{{.Tag}}'"
shell "engine rmi -f made:1 nosuch | grep -v Deleted"
shell "engine tag nosuch x; engine tag \$IMAGE UP; engine tag \$IMAGE x@sha256:1; engine tag \$IMAGE"
shell "echo n | engine image prune -a | wc -l; engine image prune -af | grep untagged | sort"
shell "engine images -q"
