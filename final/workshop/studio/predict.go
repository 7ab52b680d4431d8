package studio

import (
	"net/http"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/predict"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// maxAnswer is how many bytes of an answer are kept.
const maxAnswer = 8000

// A predictView is the panel below a lesson's question. What is wrong with tempting
// answers is there when the reader has given one.
type predictView struct {
	Station, Cannot, Answer string
	predict.Prediction
}

// predictView returns the panel of a station; false if its lesson asks no question. The
// state's lock is held.
func (s *Studio) predictView(of course.Station) (predictView, bool) {
	p, ok := predict.Of(of.Name)
	if !ok {
		return predictView{}, false
	}
	v := predictView{Station: of.Name}
	if s.state.target.Progress == nil {
		v.Cannot = "Answers are kept in the folder that start makes. This is one of the course's own."
		return v, true
	}
	kept, err := progress.Open(s.state.target.Dir)
	if err != nil {
		v.Cannot = err.Error()
		return v, true
	}
	if v.Answer = kept.Answers[of.Name]; v.Answer != "" {
		v.Prediction = p
	}
	return v, true
}

// postPredict keeps an answer in the reader's folder.
func (s *Studio) postPredict(w http.ResponseWriter, r *http.Request) {
	station, err := course.Find(r.FormValue("station"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.answer(station, r.FormValue("answer")); err != nil {
		s.state.fail(err)
	}
	s.state.notify()
	done(w, r)
}

// answer keeps an answer. The state's lock keeps it apart from what a check records.
func (s *Studio) answer(station course.Station, text string) error {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if s.state.target.Progress == nil {
		return nil
	}
	p, err := progress.Open(s.state.target.Dir)
	if err != nil {
		return err
	}
	text = strings.ToValidUTF8(strings.TrimSpace(text), "�")
	p.Answer(station.Name, strings.ToValidUTF8(text[:min(len(text), maxAnswer)], ""))
	return p.Save()
}
