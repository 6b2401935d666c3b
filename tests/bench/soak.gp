# soak.gp - draws the tables of a long run: gnuplot -e "directory='D'" soak.gp >FILE.svg
# SPDX-License-Identifier: MIT
set terminal svg size 1000,640 font "sans-serif,12" background "white"
processes = directory . "/processes.table"
store = directory . "/store.table"
who = "broker worker worker-2 client"
colours = "#2e6fb0 #b03a2e #d08a3e #3a8f3a"
set multiplot layout 2,2 margins 0.07,0.98,0.08,0.93 spacing 0.09,0.13
set grid
set xlabel "minutes"
set yrange [0:*]
set key bottom right
picked(name, value) = strcol(2) eq name ? value : 1/0
set title "anonymous memory, MiB"
plot for [i = 1:4] processes using ($1 / 60):(picked(word(who, i), $4 / 1024)) \
    pt 7 ps 0.3 lc rgb word(colours, i) title word(who, i)
set title "descriptors"
plot for [i = 1:4] processes using ($1 / 60):(picked(word(who, i), $5)) \
    pt 7 ps 0.3 lc rgb word(colours, i) notitle
set title "store, MiB"
plot store using ($1 / 60):($2 / 1024) with lines lw 2 lc rgb "#b03a2e" title "file", \
    store using ($1 / 60):($3 / 1024) with lines lw 2 lc rgb "#2e6fb0" title "pages in use"
set title "calls a second"
plot store using ($1 / 60):5 with lines lw 1 lc rgb "#2e6fb0" notitle
unset multiplot
