package cli

import (
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/book"
	"example.com/rpc-from-scratch/final/workshop/course"
)

func newBook() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "book [DIR]",
		Short: "The course as pages for a browser, which needs no network",
		Long: "Book writes the course into DIR as pages: the lessons and all other texts, with their code, and each station's files. " +
			"Open index.html in a browser: the pages need no server. DIR must be empty or not exist.",
		Example: "    go tool workshop book ../book\n    go tool workshop book -zip ../book.zip",
		Args:    cobra.MaximumNArgs(1),
	}
	archive := cmd.Flags().String("zip", "", "write one archive, `FILE`, in place of a folder")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 == (*archive != "") {
			return errors.New("name either a folder or, with -zip, an archive")
		}
		root, err := course.Root(".")
		if err != nil {
			return err
		}
		b, err := book.Load(root)
		if err != nil {
			return err
		}
		if *archive != "" {
			s, err := b.WriteZip(*archive)
			return printBook(cmd.OutOrStdout(), *archive, path.Join(book.ZipFolder, "index.html"), s, err)
		}
		s, err := b.Write(args[0])
		return printBook(cmd.OutOrStdout(), args[0], filepath.Join(args[0], "index.html"), s, err)
	}
	return cmd
}

// printBook says what was made, and where to begin, unless that failed.
func printBook(out io.Writer, made, begin string, s book.Summary, err error) error {
	if err == nil {
		fmt.Fprintf(out, "%s: %d pages, %.1f MB. Begin with %s.\n", made, s.Pages, float64(s.Bytes)/1e6, begin)
	}
	return err
}
