# docker cp with archives on standard input and output, owners, and what is refused; export and diff.
try() { "$@" >out 2>err </dev/null; echo "$* => $? $(head -c 200 out)"; rm -f out err; }
shell() { echo "$1"; bash -c "$1" 2>/dev/null; echo "=> $?"; }

setup='mkdir -p /s/dir; cd /s; echo one > file; echo two > dir/a; ln -s file flink; ln -s dir dlink
    chmod 751 file; touch -d 2001-02-03 file dir/a dir; rm -rf /home; mkdir /home; echo >> /etc/passwd; rm /bin/yes /bin/zcat; echo > /bin/zcat'
engine run -d --network none --name on "$IMAGE" sh -c "$setup; sleep 1000" >/dev/null
engine run --network none --name off "$IMAGE" true
engine run --network none --name ro --read-only "$IMAGE" true
until engine exec on ls /s/dlink >/dev/null 2>&1; do sleep 0.1; done
echo one >f
mkdir d
echo x >d/y
ln f d/hard
tar cf f.tar f d
tar czf f.tgz f d
chown 12:34 f

try engine cp
try engine cp a
try engine cp a b
try engine cp on:/a on:/b
try engine cp '' on:/a
try engine cp f ''
try engine cp on: .
try engine cp nosuch:/a .
try engine cp f nosuch:/a
try engine cp f on:relative
try engine cp on:/s/file /nosuch/x
try engine cp on:/s/file /dev/null
try engine cp --nosuch a b
try engine cp f ro:/x
for box in on off; do
    shell "engine cp - $box:/t < f.tar"
    shell "mkdir -p t; engine cp t $box:/; engine cp - $box:/t < f.tar"
    shell "engine cp - $box:/t < f.tgz"
    shell "engine cp $box:/t - | tar tv | awk '{ print \$1, \$3, \$6, \$7, \$8, \$9 }'"
    shell "engine cp - $box:/t < /bin/ls"
    shell "head -c 700 f.tar | engine cp - $box:/t"
    shell "engine cp - $box:/etc/passwd < f.tar"
    shell "engine cp - $box:/nosuch < f.tar"
    shell ": | engine cp - $box:/t"
    shell "engine cp f $box:/t/a; engine cp -a f $box:/t/b; engine cp -q f $box:/t/c 2>&1"
    shell "engine cp $box:/t - | tar tv --numeric-owner | awk '/[abc]\$/ { print \$1, \$2, \$6 }'"
    shell "engine cp d $box:/t/f; engine cp f $box:/t/d; engine cp d/. $box:/t/d; engine cp $box:/t - | tar t"
    shell "mkfifo fifo; engine cp fifo $box:/t/; engine cp $box:/t/fifo got; stat -c %F got; rm fifo got"
    shell "touch 'a name' $'a\\nline' \$(printf '\\377'); engine cp . $box:/t/names; engine cp $box:/t/names - | tar t | sort"
    shell "engine cp $box:/ - | tar t | grep -E '^/?(s|t|etc|proc|sys)/' | sort"
    shell "engine diff $box | sort"
    shell "engine export $box | tar t | grep -v ^bin/ | sort"
    shell "engine export -o e.tar $box; tar xOf e.tar t/d/y; stat -c %a e.tar"
done
for path in /s /s/ /s/. /s/file /s/flink /s/dlink /s/dlink/ s/dir nosuch /s/file/; do
    shell "engine cp on:$path - | tar tv | awk '{ print \$1, \$3, \$4, \$6, \$7, \$8 }'"
    shell "engine cp -L on:$path - | tar t"
done
try engine diff
try engine diff nosuch
try engine diff ''
try engine diff a b
try engine export
try engine export nosuch
try engine export -o /nosuch/x on
try engine export --output
shell "engine start -a off; engine start -a off; engine diff off | sort; engine cp off:/t/f -| tar xO"
engine rm -f on off ro
