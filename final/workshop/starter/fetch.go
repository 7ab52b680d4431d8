package starter

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// tool is the path of the module with this tool.
const tool = course.ModulePrefix + "final/workshop"

// Fetch gets the modules that a learner's folder and this tool need into the
// module cache, so that no network is needed later on. Their versions can differ
// from those of the clone's workspace, which has more modules.
func Fetch(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-test", "./...", tool)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=") // that of dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
