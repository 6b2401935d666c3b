# plot.gp - draws the table of churn: gnuplot -e "table='FILE'" plot.gp >FILE.svg
# SPDX-License-Identifier: MIT
set terminal svg size 720,380 font "sans-serif,13" background "white"
set title "10,000 live drafts, ten hours of churn"
set xlabel "hours"
set ylabel "MiB"
set key right bottom
set grid
set yrange [0:*]
mib(bytes) = bytes / 1048576.0
plot table using 1:(2 * mib($3)) with lines lw 1 dt 2 lc rgb "#999999" \
        title "twice the live data", \
    table using 1:(mib($5)) with lines lw 2 lc rgb "#b03a2e" title "file", \
    table using 1:(mib($4)) with lines lw 2 lc rgb "#2e6fb0" \
        title "pages in use", \
    table using 1:(mib($3)) with lines lw 2 lc rgb "#3a8f3a" \
        title "live data (keys and values)"
