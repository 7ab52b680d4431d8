package main

import (
	"image/color"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The colours tell ours, the other systems and the floor apart, also in print without colour and for most colour-blind eyes.
var (
	oursColor  = color.RGBA{R: 0, G: 114, B: 178, A: 255} // Okabe and Ito's blue
	peerColor  = color.RGBA{R: 190, G: 190, B: 190, A: 255}
	floorColor = color.RGBA{R: 230, G: 159, B: 0, A: 255} // and orange
)

const plotColumns = 2

// writePlot draws a panel of bars, calls or messages per second, for each workload that was measured.
func (r *results) writePlot(path string) error {
	var panels []*plot.Plot
	for _, w := range commonWorkloads() {
		panel, err := r.panel(w)
		if err != nil {
			return err
		}
		if panel != nil {
			panels = append(panels, panel)
		}
	}
	rows := (len(panels) + plotColumns - 1) / plotColumns
	canvas := vgsvg.New(26*vg.Centimeter, vg.Length(rows)*8*vg.Centimeter)
	drawGrid(draw.New(canvas), panels, rows)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func drawGrid(on draw.Canvas, panels []*plot.Plot, rows int) {
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, plotColumns)
	}
	for i, panel := range panels {
		grid[i/plotColumns][i%plotColumns] = panel
	}
	tiles := draw.Tiles{
		Rows: rows, Cols: plotColumns,
		PadX: vg.Centimeter, PadY: vg.Centimeter,
		PadTop: vg.Millimeter * 5, PadBottom: vg.Millimeter * 5, PadLeft: vg.Millimeter * 5, PadRight: vg.Millimeter * 5,
	}
	for y, canvases := range plot.Align(grid, tiles, on) {
		for x, canvas := range canvases {
			if grid[y][x] != nil {
				grid[y][x].Draw(canvas)
			}
		}
	}
}

// panel draws one workload with all cores, the first peer on top, or returns nil when nobody ran it.
func (r *results) panel(w workload) (*plot.Plot, error) {
	plot.DefaultFont.Variant = "Sans"
	panel := plot.New()
	panel.Title.Text = w.title + ": " + w.counted() + "s per second"
	panel.X.Min = 0
	// Readers without the plot's fonts get wider ones, so the names keep their distance from the bars.
	panel.Y.Padding = 5 * vg.Millimeter
	panel.Y.Tick.Label.Font.Size = 9
	panel.X.Tick.Label.Font.Size = 9
	panel.X.Tick.Marker = countTicks{}
	var names []string
	for i := len(peers) - 1; i >= 0; i-- {
		s, ok := r.summarize(peers[i].name, w.id, r.most())
		if !ok {
			continue
		}
		bar, err := plotter.NewBarChart(plotter.Values{s.CallsPerSec}, 4*vg.Millimeter)
		if err != nil {
			return nil, err
		}
		bar.Horizontal = true
		bar.XMin = float64(len(names))
		bar.LineStyle.Width = 0
		bar.Color = colorOf(peers[i])
		panel.Add(bar)
		names = append(names, peers[i].name)
	}
	if names == nil {
		return nil, nil
	}
	panel.NominalY(names...)
	return panel, nil
}

func colorOf(p peer) color.Color {
	switch {
	case p.ours:
		return oursColor
	case p.floor:
		return floorColor
	default:
		return peerColor
	}
}

// countTicks are the usual ticks, with commas between thousands.
type countTicks struct{}

func (countTicks) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, tick := range ticks {
		if !tick.IsMinor() {
			ticks[i].Label = showCount(tick.Value)
		}
	}
	return ticks
}
