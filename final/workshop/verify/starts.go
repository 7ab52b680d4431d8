package verify

import (
	"errors"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/verify/console"
)

func (s *sessions) inStarted(station course.Station) (*console.Session, error) {
	return nil, errors.New("start is not there yet")
}
