package book

import (
	"errors"
	"fmt"
	"html"
	"path"
	"strings"

	"github.com/yuin/goldmark/ast"

	"example.com/rpc-from-scratch/final/workshop/course"
)

const instructorPage = "final/workshop/guide/INSTRUCTOR.md"

// howTo is its section with the parts of every station: a slide has the notes of each.
const howTo = "How a station goes"

// slidesPath returns where a station's deck is.
func slidesPath(s course.Station) string { return path.Dir(s.Page()) + "/slides.html" }

// addSlides adds a deck of slides for each station that has a lesson, if the
// instructor's page says how a station goes.
func (o *outliner) addSlides() {
	guide := o.bySource[instructorPage]
	if guide == nil {
		return
	}
	if _, err := sectionOf(guide, howTo); err != nil {
		return
	}
	for _, s := range course.Stations {
		lesson := o.bySource[s.Page()]
		if lesson == nil {
			continue
		}
		title := "Slides for " + s.Name
		p := &Page{Source: s.Page(), Path: slidesPath(s), Title: title, Label: title, Station: &s, Kind: Slides}
		o.Pages = append(o.Pages, p)
		o.slides[s.Name] = p
	}
}

// slidesOf returns links to the slides and to the lesson of the station that a heading of
// the instructor's page is about; "" if it is about none.
func (w *writing) slidesOf(heading string) string {
	name, _, _ := strings.Cut(heading, " ")
	p := w.book.slides[name]
	if p == nil {
		return ""
	}
	return fmt.Sprintf(`<p class="where"><a href="%s">Slides</a> · <a href="%s">The lesson</a></p>`+"\n", rel(w.page.Path, p.Path), w.book.stationHref(w.page, *p.Station))
}

// slideLinks returns links to all decks.
func (b *Book) slideLinks(p *Page) string {
	var links []string
	for _, s := range course.Stations {
		if to := b.slides[s.Name]; to != nil {
			links = append(links, fmt.Sprintf(`<a href="%s">%s</a>`, rel(p.Path, to.Path), s.Name))
		}
	}
	if links == nil {
		return ""
	}
	return `<p class="where">Slides to teach from: ` + strings.Join(links, ", ") + ".</p>\n"
}

// A deck is a station's slides while they are made. All of it is quoted: from the
// lesson, from the instructor's page, from the hints and from the code.
type deck struct {
	*Book
	page    *Page
	station course.Station
	lesson  *quoting
	guide   *quoting
	hints   *quoting
	out     strings.Builder
	slides  int
}

// renderSlides returns a station's deck: one section per slide, each with the
// speaker's notes.
func (b *Book) renderSlides(p *Page) (*Rendered, error) {
	hints := b.bySource[path.Join(hintsFolder, p.Station.Name+".md")]
	if hints == nil {
		return nil, errors.New("no hints: the closing question is there")
	}
	d := &deck{Book: b, page: p, station: *p.Station,
		lesson: b.quote(p, b.bySource[p.Station.Page()]), guide: b.quote(p, b.bySource[instructorPage]), hints: b.quote(p, hints)}
	for _, add := range []func() error{d.title, d.recall, d.question, d.predict, d.failure, d.diagram, d.key, d.yourTurn, d.checkpoint, d.closing} {
		if err := errors.Join(add(), d.lesson.err, d.guide.err, d.hints.err); err != nil {
			return nil, err
		}
	}
	title := "<h1>" + html.EscapeString(p.Title) + "</h1>\n"
	return &Rendered{body: title + d.out.String(), sections: []section{{heading: p.Title}}}, nil
}

// slide writes a slide and its notes.
func (d *deck) slide(title, body, notes string) {
	d.slides++
	fmt.Fprintf(&d.out, `<section class="slide" id="slide-%d">`+"\n<h2>%s</h2>\n%s\n", d.slides, html.EscapeString(title), body)
	fmt.Fprintf(&d.out, `<details class="notes"><summary>Notes</summary>`+"\n%s\n</details>\n</section>\n", notes)
}

// title says where the group is.
func (d *deck) title() error {
	s := d.station
	trip := "core path"
	if s.Side {
		trip = "side trip"
	}
	body := fmt.Sprintf(`<p class="lead">%s</p>`+"\n"+`<p class="where">%d minutes, %s · <a href="%s">the lesson</a></p>`,
		html.EscapeString(capital(s.Adds)), s.Minutes, trip, d.stationHref(d.page, s))
	schedule, err := d.guide.section(howTo)
	if err != nil {
		return err
	}
	catchUp, err := d.advice("Catch up")
	d.slide(strings.TrimPrefix(d.bySource[s.Page()].Title, "Step "), body, d.guide.html(schedule...)+catchUp)
	return err
}

// recall asks about the station before, which the first has not.
func (d *deck) recall() error {
	nodes, err := d.lesson.section("Recall")
	if err != nil {
		return nil
	}
	asks, answers := untilFold(nodes)
	how, err := d.how(0)
	d.slide("Recall", d.lesson.html(asks...), how+d.lesson.html(answers...))
	return err
}

// question asks what the station is about.
func (d *deck) question() error {
	ask, err := d.adviceAlone("Ask")
	if err != nil {
		return err
	}
	how, err := d.how(1)
	d.slide("The question", `<p class="lead">`+ask+"</p>", how)
	return err
}

// predict is the lesson's own question.
func (d *deck) predict() error {
	nodes, err := d.lesson.section("Predict")
	if err != nil {
		return err
	}
	last := 0
	for i, n := range nodes {
		if n.Kind() == ast.KindBlockquote {
			last = i + 1
		}
	}
	d.slide("Predict", d.lesson.html(nodes[:last]...), d.lesson.html(nodes[last:]...))
	return nil
}

// failure is what the lesson opens with: the commands, and folded what they print.
func (d *deck) failure() error {
	var body, notes strings.Builder
	opening := d.lesson.opening()
	for i, n := range opening {
		if d.lesson.language(n) != "console" {
			continue
		}
		if i > 0 && opening[i-1].Kind() == ast.KindParagraph {
			body.WriteString(d.lesson.html(opening[i-1]))
		}
		commands := block{body: commandsOf(d.lesson.text(n)), words: []string{"console"}}
		body.WriteString(d.lesson.code(commands, highlightConsole(commands.body)))
		body.WriteString("<details><summary>What it prints</summary>\n" + d.lesson.html(n) + "</details>\n")
		if i+1 < len(opening) && opening[i+1].Kind() == ast.KindParagraph {
			notes.WriteString(d.lesson.html(opening[i+1]))
		}
	}
	if body.Len() == 0 {
		return errors.New("the lesson opens with no command")
	}
	how, err := d.how(2)
	if err != nil {
		return err
	}
	demo, err := d.advice("Demo")
	d.slide("A failure", body.String(), how+demo+notes.String())
	return err
}

// diagram is the first of the lesson, else that of the step.
func (d *deck) diagram() error {
	q := d.lesson
	drawing := q.first("mermaid")
	if entrance := d.bySource[d.station.Entrance()]; drawing == nil && entrance != nil {
		q = d.quote(d.page, entrance)
		drawing = q.first("mermaid")
	}
	if drawing == nil {
		return errors.New("neither the lesson nor its step has a diagram")
	}
	q.where = d.station.Name
	before := drawing.PreviousSibling()
	for before != nil && before.Kind() != ast.KindParagraph {
		before = before.PreviousSibling()
	}
	if before == nil {
		return errors.New("nothing is said of the diagram")
	}
	d.slide("The diagram", q.html(drawing), q.html(before))
	return q.err
}

// yourTurn says what the group writes.
func (d *deck) yourTurn() error {
	how, err := d.how(3)
	if err != nil {
		return err
	}
	notes := how
	for _, label := range []string{"Watch for", "Usual errors", "Catch up"} {
		advice, err := d.advice(label)
		if err != nil {
			return err
		}
		notes += advice
	}
	watch := block{body: "$ go tool workshop watch\n", words: []string{"console"}}
	d.slide("Your turn", d.pieces()+d.lesson.code(watch, highlightConsole(watch.body)), notes)
	return nil
}

// pieces lists the declarations that the lesson has the reader write, by their files.
func (d *deck) pieces() string {
	var files []string
	names := map[string][]string{}
	d.lesson.each(func(n *ast.FencedCodeBlock, words []string) {
		if len(words) < 3 || words[1] != "type" {
			return
		}
		file := words[2][strings.LastIndex(words[2], ":")+1:]
		if names[file] == nil {
			files = append(files, file)
		}
		for _, name := range words[3:] {
			if name != "package" && name != "import" {
				names[file] = append(names[file], "<code>"+html.EscapeString(name)+"</code>")
			}
		}
	})
	out := "<ul>\n"
	for _, file := range files {
		out += "<li><code>" + html.EscapeString(file) + "</code>: " + strings.Join(names[file], ", ") + "</li>\n"
	}
	return out + "</ul>\n"
}

// checkpoint is a run that fails without the station's code.
func (d *deck) checkpoint() error {
	nodes, err := d.lesson.section("Checkpoint")
	if err != nil {
		return err
	}
	var run ast.Node
	for _, n := range nodes {
		if words := d.lesson.words(n); len(words) > 0 && words[0] == "console" && (run == nil || len(words) > 1 && words[1] == "solved" && len(d.lesson.words(run)) == 1) {
			run = n
		}
	}
	if run == nil {
		return errors.New("the checkpoint has no run")
	}
	how, err := d.how(4)
	d.slide("The checkpoint", d.lesson.html(run), how)
	return err
}

// closing asks the question that check prints in the end.
func (d *deck) closing() error {
	question, answer := d.hints.paragraph(questionMark), d.hints.paragraph(answerMark)
	if question == "" || answer == "" {
		return errors.New("the hints have no closing question")
	}
	body := `<p class="lead">` + question + "</p>\n"
	if next, ok := d.station.Next(); ok && d.Book.slides[next.Name] != nil {
		body += fmt.Sprintf(`<p class="where">Next: <a href="%s">the slides for %s</a></p>`, rel(d.page.Path, slidesPath(next)), next.Name)
	}
	d.slide("One more question", body, "<p>"+answer+"</p>")
	return nil
}

// how returns what the instructor's page says of the i'th part of every station.
func (d *deck) how(i int) (string, error) {
	nodes, err := d.guide.section(howTo)
	if err != nil {
		return "", err
	}
	for _, n := range nodes {
		if n.Kind() == ast.KindList && n.ChildCount() > i {
			for item := n.FirstChild(); item != nil; item = item.NextSibling() {
				if i--; i < 0 {
					return "<p>" + d.guide.inline(item.FirstChild()) + "</p>\n", nil
				}
			}
		}
	}
	return "", errors.New("the instructor's page does not say how a station goes")
}

// advice returns what the instructor's page says about the station under this label.
func (d *deck) advice(label string) (string, error) {
	text, err := d.adviceAlone(label)
	return "<p><strong>" + label + "</strong>: " + text + "</p>\n", err
}

// adviceAlone is advice without the label.
func (d *deck) adviceAlone(label string) (string, error) {
	nodes, err := d.guide.section(d.station.Name + " " + strings.ReplaceAll(d.station.Title, "-", " "))
	if err != nil {
		nodes, err = d.guide.section(d.station.Name + " " + d.station.Title)
	}
	if err != nil {
		return "", err
	}
	for _, n := range nodes {
		if n.Kind() != ast.KindList {
			continue
		}
		for item := n.FirstChild(); item != nil; item = item.NextSibling() {
			if text, ok := strings.CutPrefix(d.guide.inline(item.FirstChild()), label+": "); ok {
				return capital(text), nil
			}
		}
	}
	return "", fmt.Errorf("the instructor's page says nothing of %s under %q", d.station.Name, label)
}
