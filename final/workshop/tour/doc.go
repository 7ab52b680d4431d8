// Package tour keeps the maps of the tour of final true: see README.md.
package tour
