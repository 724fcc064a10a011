package sim

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Picture runs a simulation once more and draws what its servers went through as SVG: a lane for each, with who leads which term, when it was down or
// paused and which faults hit it; below it, in thin lines, which of the others it could not reach; and the messages of elections and snapshots.
// With from and to, in microseconds, it draws a part only; a short one has all messages. It returns what the run came to.
func Picture(w io.Writer, o Options, fromUs, toUs int64) (*Result, error) {
	pic := &picture{from: fromUs, to: toUs}
	o.watch = pic.see
	r := Run(o)
	pic.end(r)
	_, err := io.WriteString(w, pic.svg(r))
	return r, err
}

// picture collects what is to be drawn. Times are simulated microseconds.
type picture struct {
	from, to int64
	lanes    []lane
	flights  []flight
	open     map[flightKey][]int // sent and not arrived, as indices of flights
	marks    []mark
}

// lane is a server's history.
type lane struct {
	spans []laneSpan
	now   laneState
	since int64
	links map[uint64][]laneSpan // to another server: when nothing got there
	shut  map[uint64]int64      // since when nothing gets there
}

// laneState is what a server is for a while.
type laneState struct {
	up, paused, leads bool
	term              uint64
}

type laneSpan struct {
	laneState
	from, to int64
}

// mark is a fault or another thing worth a word.
type mark struct {
	at     int64
	server uint16
	text   string
	fault  bool
}

type flightKey struct {
	from, to, n uint64
	kind        string
}

// flight is a message on its way; arrived is 0 if it is lost.
type flight struct {
	flightKey
	sent, arrived int64
}

func (p *picture) lane(server uint64) *lane {
	for uint64(len(p.lanes)) < server {
		p.lanes = append(p.lanes, lane{links: map[uint64][]laneSpan{}, shut: map[uint64]int64{}})
	}
	return &p.lanes[server-1]
}

func (l *lane) become(at int64, s laneState) {
	if s == l.now {
		return
	}
	if at > l.since {
		l.spans = append(l.spans, laneSpan{l.now, l.since, at})
	}
	l.now, l.since = s, at
}

// What the picture is made of: the formats of the lines that it looks for. They are those of the calls that log them; TestPicture holds that none has
// gone out of step.
const (
	lineStarts   = "starts as %x with origin %x"
	lineDies     = "dies"
	lineNoPower  = "loses power"
	linePaused   = "is paused for %d ms"
	lineGoesOn   = "goes on"
	lineLeads    = "leads term %d"
	lineFollows  = "is in term %d with leader %x"
	lineNoLeader = "is in term %d without a leader"
	lineFault    = "is in for a fault: %s"
	lineSpared   = "is spared it"
	lineDamaged  = "finds that its log is damaged"
	lineRestores = "restores the snapshot at %d"
	lineGivesUp  = "gives up: %s"
	lineCut      = "nothing gets from server %d to %d"
	lineMended   = "messages get from server %d to %d again"
	lineHeals    = "heals"
)

var pictureFormats = [...]string{lineStarts, lineDies, lineNoPower, linePaused, lineGoesOn, lineLeads, lineFollows, lineNoLeader, lineFault, lineSpared, lineDamaged, lineRestores,
	lineGivesUp, lineCut, lineMended, lineHeals}

// see takes an event.
func (p *picture) see(t *traceLine) {
	if t.server == 0 {
		p.seeNetwork(t)
		return
	}
	l := p.lane(uint64(t.server))
	s := l.now
	switch t.format {
	case lineStarts:
		s = laneState{up: true}
	case lineDies, lineNoPower:
		s = laneState{}
	case linePaused:
		s.paused = true
	case lineGoesOn:
		s.paused = false
	case lineLeads:
		s.leads, s.term = true, t.a
	case lineFollows, lineNoLeader:
		s.leads, s.term = false, t.a
	case lineFault:
		p.marks = append(p.marks, mark{at: t.at, server: t.server, text: t.note, fault: true})
	case lineSpared:
		p.marks = p.marks[:len(p.marks)-1]
	case lineDamaged:
		p.marks = append(p.marks, mark{at: t.at, server: t.server, text: "damaged"})
	case lineRestores:
		p.marks = append(p.marks, mark{at: t.at, server: t.server, text: fmt.Sprintf("restores %d", t.a)})
	case lineGivesUp:
		p.marks = append(p.marks, mark{at: t.at, server: t.server, text: "gives up"})
	default:
		p.seeMessage(t)
	}
	l.become(t.at, s)
}

func (p *picture) seeNetwork(t *traceLine) {
	switch t.format {
	case lineCut:
		p.lane(max(t.a, t.b))
		p.lane(t.a).shut[t.b] = t.at
	case lineMended:
		l := p.lane(t.a)
		if since, is := l.shut[t.b]; is {
			l.links[t.b] = append(l.links[t.b], laneSpan{from: since, to: t.at})
			delete(l.shut, t.b)
		}
	case lineHeals:
		p.marks = append(p.marks, mark{at: t.at, text: "heals"})
		for a := range p.lanes { // nothing is cut any more
			p.shutAll(uint64(a+1), t.at)
		}
	}
}

func (p *picture) shutAll(server uint64, at int64) {
	l := p.lane(server)
	for b := range uint64(maxServers + 1) {
		if since, is := l.shut[b]; is {
			l.links[b] = append(l.links[b], laneSpan{from: since, to: at})
			delete(l.shut, b)
		}
	}
}

func (p *picture) seeMessage(t *traceLine) {
	verb, rest, _ := strings.Cut(t.format, " ")
	if !strings.Contains(rest, "→") || t.at < p.from || p.to > 0 && t.at > p.to {
		return
	}
	key := flightKey{from: t.a >> 48, to: t.b >> 48, n: t.c, kind: t.note}
	if p.open == nil {
		p.open = map[flightKey][]int{}
	}
	switch verb {
	case "sends":
		p.open[key] = append(p.open[key], len(p.flights))
		p.flights = append(p.flights, flight{flightKey: key, sent: t.at})
	case "gets":
		if q := p.open[key]; len(q) > 0 {
			p.flights[q[0]].arrived = t.at
			p.open[key] = q[1:]
		}
	}
}

// end closes what is still open when the run is over.
func (p *picture) end(r *Result) {
	for i := range p.lanes {
		p.lanes[i].become(r.SimUs, laneState{term: ^uint64(0)})
		p.shutAll(uint64(i+1), r.SimUs)
	}
	if p.to <= 0 || p.to > r.SimUs {
		p.to = r.SimUs
	}
	if p.from < 0 || p.from >= p.to {
		p.from = 0
	}
}

// The picture's measures, in pixels.
const (
	picWidth    = 1600
	picLeft     = 60
	picTop      = 70
	picLane     = 26
	picLinkRow  = 3
	picGap      = 44
	picMessages = 400 // above that many only those of elections and snapshots are drawn
)

var termColours = [...]string{"#2a7fba", "#3a9d5d", "#8e5bb5", "#c77b22", "#b8456b", "#4c8c8a", "#7a7f2b", "#5560c0"}

func (p *picture) x(at int64) float64 {
	return picLeft + float64(at-p.from)/float64(max(1, p.to-p.from))*(picWidth-picLeft-30)
}

func (p *picture) y(server int) int { return picTop + server*(picLane+picGap+picLinkRow*len(p.lanes)) }

// clip is a span as far as it is in the picture.
func (p *picture) clip(s *laneSpan) (x, width float64, ok bool) {
	from, to := max(s.from, p.from), min(s.to, p.to)
	return p.x(from), p.x(to) - p.x(from), to > from
}

func (p *picture) svg(r *Result) string {
	var b strings.Builder
	height := p.y(len(p.lanes)) + 60
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", picWidth, height)
	fmt.Fprintf(&b, `<defs><pattern id="paused" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="#f6efc8"/><rect width="2" height="6" fill="#b39b2f"/></pattern></defs>`+"\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", picWidth, height)
	outcome := "nothing broken"
	if r.Violation != "" {
		outcome, _, _ = strings.Cut(r.Violation, "\n")
	}
	fmt.Fprintf(&b, `<text x="%d" y="18" font-size="14">seed %d, %s: %s</text>`+"\n", picLeft, r.Seed, r.Mode, html.EscapeString(short(outcome, 210)))
	p.axis(&b, height)
	for i := range p.lanes {
		p.drawLane(&b, i)
	}
	p.drawFlights(&b)
	p.drawMarks(&b)
	if r.Violation != "" && r.SimUs <= p.to {
		x := p.x(r.SimUs)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="40" x2="%.1f" y2="%d" stroke="#d00000" stroke-width="2"/>`+"\n", x, x, height-40)
	}
	p.legend(&b, height)
	b.WriteString("</svg>\n")
	return b.String()
}

func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// axis draws the time.
func (p *picture) axis(b *strings.Builder, height int) {
	step, next := int64(1000), [...]int64{2, 5, 10}
	for unit, i := step, 0; (p.to-p.from)/step > 20; i++ {
		step = unit * next[i%3]
		if i%3 == 2 {
			unit = step
		}
	}
	for at := (p.from + step - 1) / step * step; at <= p.to; at += step {
		x := p.x(at)
		fmt.Fprintf(b, `<line x1="%.1f" y1="42" x2="%.1f" y2="%d" stroke="#e4e4e4"/><text x="%.1f" y="38" text-anchor="middle" fill="#666">%s</text>`+"\n",
			x, x, height-40, x, seconds(at))
	}
}

func seconds(us int64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", float64(us)/1e6), "0"), ".") + " s"
}

func (p *picture) drawLane(b *strings.Builder, i int) {
	l, y := &p.lanes[i], p.y(i)
	fmt.Fprintf(b, `<text x="8" y="%d" font-size="13">s%d</text><line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#999" stroke-dasharray="2 3"/>`+"\n",
		y+picLane-8, i+1, picLeft, y+picLane/2, picWidth-30, y+picLane/2)
	for k := range l.spans {
		s := &l.spans[k]
		x, w, ok := p.clip(s)
		if !ok || !s.up {
			continue
		}
		fill, border := "#dde5ea", "#b9c4cb"
		if s.leads {
			fill, border = termColours[s.term%uint64(len(termColours))], "#333"
		}
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="%s" stroke-width="0.5"/>`, x, y, w, picLane, fill, border)
		if s.paused {
			fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="url(#paused)"/>`, x, y+picLane/4, w, picLane/2)
		}
		if w > 92 && s.leads {
			fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="white">leads term %d</text>`, x+4, y+17, s.term)
		} else if w > 48 && s.term > 0 && !s.paused {
			fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#555">term %d</text>`, x+4, y+17, s.term)
		}
		b.WriteByte('\n')
	}
	for peer := range uint64(len(p.lanes) + 1) {
		for k := range l.links[peer] {
			if x, w, ok := p.clip(&l.links[peer][k]); ok {
				fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="2" fill="#c62828"><title>nothing gets from server %d to %d</title></rect>`+"\n",
					x, y+picLane+2+picLinkRow*int(peer-1), max(w, 0.5), i+1, peer)
			}
		}
	}
}

// flightColours are the messages that are always drawn.
var flightColours = map[string]string{
	"MsgPreVote": "#9aa5ad", "MsgPreVoteResp": "#9aa5ad", "MsgVote": "#1565c0", "MsgVoteResp": "#1565c0", "MsgTimeoutNow": "#ef6c00", "MsgSnap": "#8e24aa",
}

func (p *picture) drawFlights(b *strings.Builder) {
	all := len(p.flights) <= picMessages
	for i := range p.flights {
		f := &p.flights[i]
		colour, always := flightColours[f.kind]
		if !always && (!all || f.kind == "join" || f.kind == "join reply") || f.from == f.to || f.from == 0 || f.to == 0 || int(max(f.from, f.to)) > len(p.lanes) {
			continue
		}
		if !always {
			colour = "#cfd8dc"
		}
		y1, y2 := p.y(int(f.from)-1)+picLane/2, p.y(int(f.to)-1)+picLane/2
		x1, x2, style := p.x(f.sent), p.x(f.arrived), ""
		if f.arrived == 0 { // a short dashed way
			x2, y2, style = x1+6, y1+(y2-y1)/6, ` stroke-dasharray="2 2"`
		}
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-width="0.8"%s><title>%s %d, %s</title></line><circle cx="%.1f" cy="%d" r="1.6" fill="%s"/>`+"\n",
			x1, y1, x2, y2, colour, style, html.EscapeString(f.kind), f.n, seconds(f.sent), x2, y2, colour)
	}
}

// drawMarks writes the faults above the lanes that they hit, each a little higher than its neighbour.
func (p *picture) drawMarks(b *strings.Builder) {
	right := map[[2]int]float64{} // where the last text ends, by lane and row
	for _, m := range p.marks {
		if m.at < p.from || m.at > p.to {
			continue
		}
		x, y := p.x(m.at), 52
		if m.server > 0 {
			y = p.y(int(m.server)-1) - 2
		}
		row := 0
		for row < 2 && right[[2]int{int(m.server), row}] > x {
			row++
		}
		right[[2]int{int(m.server), row}] = x + 6*float64(len(m.text)) + 8
		colour := "#555"
		if m.fault {
			colour = "#c62828"
			fmt.Fprintf(b, `<path d="M%.1f %d l-3 -6 l6 0 z" fill="%s"/>`, x, y+1, colour)
		}
		if m.server == 0 {
			fmt.Fprintf(b, `<line x1="%.1f" y1="46" x2="%.1f" y2="%d" stroke="#2e7d32" stroke-dasharray="4 3"/>`, x, x, p.y(len(p.lanes)))
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="%s" font-size="10">%s</text>`+"\n", x+4, y-2-row*10, colour, html.EscapeString(m.text))
	}
}

func (p *picture) legend(b *strings.Builder, height int) {
	y := height - 14
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#444">coloured: leads and may take commands · grey: runs · striped: paused · nothing: down · red below: cannot reach server 1, 2, 3 … (from the top) · `+
		`▾ fault · lines: votes (blue), pre-votes (grey), leadership handed over (orange), snapshots (purple); dashed: lost</text>`+"\n", picLeft, y)
}
