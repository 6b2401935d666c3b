# plot.gp - draws the panels that report.py wrote: gnuplot -e "panels_file='F'"
# SPDX-License-Identifier: MIT
load panels_file
cells = panels + has_growth
rows = (cells + 2) / 3
set terminal svg size 1280,60 + 240 * rows font "sans-serif,12" background "white"
set multiplot layout rows,3 margins 0.13,0.99,0.05,0.91 spacing 0.14,0.09 \
    title "Blue: Sheaf. Grey: others. Sand: answers before the disk has it. Light: a library alone." font "sans-serif,13"
unset key
set border 0
set tics scale 0
set style fill solid 1.0
do for [i = 1:panels] {
    is_log = value(sprintf("log%d", i))
    least = value(sprintf("least%d", i))
    most = value(sprintf("most%d", i))
    count = value(sprintf("count%d", i))
    set title value(sprintf("title%d", i)) font "sans-serif,11" offset -5,0
    # Room for the figure at the end of the longest bar.
    if (is_log) {
        set logscale x
        from = least / 3.0
        set xrange [from:most * (most / from) ** 0.25]
    } else {
        unset logscale x
        from = 0
        set xrange [0:most * 1.25]
    }
    set yrange [count - 0.4:-0.6]
    unset xtics
    eval sprintf("plot $panel%d using (from):0:(from):2:($0-0.36):($0+0.36):3:ytic(1) with boxxyerror lc rgb variable, $panel%d using 2:0:4 with labels left offset 0.5,0", i, i)
}
if (has_growth) {
    set border 3
    set key center right
    set logscale x
    set xtics
    set format x "%.0s %c"
    set autoscale x
    set yrange [0:*]
    set ytics auto
    set grid y
    set title "time of a draft, µs, by how many wait" font "sans-serif,11"
    plot $growth using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb "#2e6fb0" title "submit", \
        $growth using 1:3 with linespoints lw 2 pt 7 ps 0.5 lc rgb "#b03a2e" title "complete"
}
unset multiplot
