"""A triangulated surface drawn off screen, and rays cast at it.

Drawing needs OpenGL through EGL; casting rays and projecting points do not.
Where a library of OpenGL is missing, VTK kills the process instead of raising:
ask `processing.rendering.probe.why_rendering_fails` before the first picture.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processing.inputs import Texture
from processing.rendering.camera import Camera as Camera
from processing.rendering.textured import laid_over, split_at_seams

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData, vtkStaticCellLocator
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

WINDOW_VARIABLE: Final = "VTK_DEFAULT_OPENGL_WINDOW"
EGL_WINDOW: Final = "vtkEGLRenderWindow"

NEUTRAL_SKIN: Final = (224, 184, 160)
NEUTRAL_BACKGROUND: Final = (70, 78, 88)
MULTISAMPLES: Final = 4

# Tolerance of VTK's intersection of a line and a triangle: wide enough that no
# ray slips through between two triangles, far below any scanner's resolution.
RAY_TOLERANCE_MM: Final = 1e-5


def vertex_normals(
    vertices: NDArray[np.float64], triangles: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Unit normals at the vertices, the mean of the triangles' weighted by area.

    Parameters
    ----------
    vertices : (n, 3) float64 array
    triangles : (m, 3) integer array

    Returns
    -------
    (n, 3) float64 array
        Zero at a vertex of no triangle.
    """
    corners = vertices[triangles]
    twice_area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.stack(
        [
            np.bincount(triangles.ravel(), np.repeat(twice_area[:, axis], 3), len(vertices))
            for axis in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    normals: NDArray[np.float64] = np.zeros_like(sums)
    np.divide(sums, length, out=normals, where=length > 0)
    return normals


class OffscreenScene:
    """One surface, lit from the camera, of which pictures are taken.

    A context manager: leaving it gives the window and its memory back.

    Parameters
    ----------
    vertices_mm : (n, 3) array_like
    triangles : (m, 3) array_like of int
        Indices into `vertices_mm`, counter-clockwise seen from outside.
    colours : (n, 3) uint8 array_like, optional
        sRGB of each vertex; one neutral colour of skin where there are none.
    texture : Texture, optional
        Drawn instead of `colours`; its corners are those of `triangles`.
    normals : (n, 3) array_like, optional
        Unit normals that the light falls on; those of the triangles where left out.
    multisamples : int
        Samples of a pixel, for smooth outlines; none with 0, which is several
        times as quick.
    background : (red, green, blue)
        sRGB, 0 to 255.
    shaded : bool
        False draws the colours as they are, without light.
    ambient : float
        Share of the light that comes from everywhere, 0 to 1; the rest comes
        from the camera.

    Raises
    ------
    ValueError
        If an array has the wrong shape, a coordinate is not finite, or a
        triangle names a vertex that does not exist.
    """

    def __init__(
        self,
        vertices_mm: ArrayLike,
        triangles: ArrayLike,
        colours: ArrayLike | None = None,
        *,
        texture: Texture | None = None,
        normals: ArrayLike | None = None,
        multisamples: int = MULTISAMPLES,
        background: tuple[int, int, int] = NEUTRAL_BACKGROUND,
        shaded: bool = True,
        ambient: float = 0.32,
    ) -> None:
        self._vertices = np.ascontiguousarray(vertices_mm, dtype=np.float64)
        self._triangles = np.ascontiguousarray(triangles, dtype=np.int64)
        self._colours = None if colours is None else np.ascontiguousarray(colours, dtype=np.uint8)
        self._texture = texture
        self._normals = None if normals is None else np.asarray(normals, dtype=np.float64)
        self._multisamples = multisamples
        self._background = background
        self._shaded = shaded
        self._ambient = ambient
        _check_mesh(self._vertices, self._triangles, self._colours)
        _check_beside(self._vertices, self._triangles, self._normals, texture)
        self._mesh: vtkPolyData | None = None
        self._locator: vtkStaticCellLocator | None = None
        self._window: vtkRenderWindow | None = None
        self._renderer: vtkRenderer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the window, the mesh and the search tree; harmless when called twice."""
        if self._window is not None:
            if self._renderer is not None:
                self._window.RemoveRenderer(self._renderer)
            self._window.Finalize()
        self._window = self._renderer = self._locator = self._mesh = None

    def render(self, camera: Camera) -> NDArray[np.uint8]:
        """Take a picture.

        Parameters
        ----------
        camera : Camera

        Returns
        -------
        (height_px, width_px, 3) uint8 array
            sRGB, first row on top.
        """
        window, renderer = self._open_window(camera)
        window.SetSize(camera.width_px, camera.height_px)
        lens = renderer.GetActiveCamera()
        lens.SetPosition(*camera.position_mm)
        lens.SetFocalPoint(*camera.target_mm)
        lens.SetViewUp(*camera.up)
        lens.SetViewAngle(camera.view_angle_deg)
        renderer.ResetCameraClippingRange()
        window.Render()
        return _window_pixels(window)

    def pick(self, camera: Camera, points_px: ArrayLike) -> NDArray[np.float64]:
        """Where the rays through pixels first meet the surface.

        Works without OpenGL: the rays are cast at the triangles themselves.

        Parameters
        ----------
        camera : Camera
        points_px : (k, 2) array_like
            (column, row).

        Returns
        -------
        (k, 3) float64 array
            Points in mm in the frame of the surface; NaN where the ray misses.
        """
        directions = camera.ray_directions(points_px)
        start = np.asarray(camera.position_mm, dtype=np.float64)
        reach = float(np.linalg.norm(self._vertices - start, axis=1).max()) * 1.01 + 1.0
        hits, _ = self.first_hits(
            np.broadcast_to(start, directions.shape), start + directions * reach
        )
        return hits

    def first_hits(
        self, starts_mm: ArrayLike, ends_mm: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Where line segments first meet the surface.

        Works without OpenGL.

        Parameters
        ----------
        starts_mm, ends_mm : (k, 3) array_like
            Ends of the segments in the frame of the surface.

        Returns
        -------
        points_mm : (k, 3) float64 array
            NaN where the segment misses.
        triangle : (k,) int64 array
            Which triangle was met; -1 where the segment misses.
        """
        from vtkmodules.vtkCommonCore import reference

        starts = np.asarray(starts_mm, dtype=np.float64).reshape(-1, 3)
        ends = np.asarray(ends_mm, dtype=np.float64).reshape(-1, 3)
        # VTK's stubs know neither numbers passed by reference nor that they come back.
        locator: Any = self._search_tree()
        hits = np.full((len(starts), 3), np.nan)
        met = np.full(len(starts), -1, dtype=np.int64)
        fraction, part, cell = reference(0.0), reference(0), reference(0)
        number: Any = cell
        point, parametric = [0.0] * 3, [0.0] * 3
        usable = np.isfinite(starts).all(axis=1) & np.isfinite(ends).all(axis=1)
        for index in np.flatnonzero(usable):
            if locator.IntersectWithLine(
                starts[index],
                ends[index],
                RAY_TOLERANCE_MM,
                fraction,
                point,
                parametric,
                part,
                cell,
            ):
                hits[index] = point
                met[index] = int(number.get())
        return hits, met

    def project(self, camera: Camera, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Where points appear in the picture; see `Camera.project`."""
        return camera.project(points_mm)

    def _poly_data(self) -> vtkPolyData:
        if self._mesh is None:
            self._mesh = _as_poly_data(self._vertices, self._triangles)
        return self._mesh

    def _drawn_data(self) -> vtkPolyData:
        """The surface with what light and colour need."""
        from vtkmodules.util import numpy_support

        support: Any = numpy_support  # carries no types
        normals = self._normals
        if normals is None:
            normals = vertex_normals(self._vertices, self._triangles)
        if self._texture is None:
            mesh = self._poly_data()
            if self._colours is not None:
                mesh.GetPointData().SetScalars(support.numpy_to_vtk(self._colours, deep=True))
        else:
            vertex, across_up, triangles = split_at_seams(self._triangles, self._texture.corners)
            mesh = _as_poly_data(self._vertices[vertex], triangles)
            mesh.GetPointData().SetTCoords(support.numpy_to_vtk(across_up, deep=True))
            normals = normals[vertex]
        mesh.GetPointData().SetNormals(support.numpy_to_vtk(normals, deep=True))
        return mesh

    def _search_tree(self) -> vtkStaticCellLocator:
        if self._locator is None:
            from vtkmodules.vtkCommonDataModel import vtkStaticCellLocator

            self._locator = vtkStaticCellLocator()
            self._locator.SetDataSet(self._poly_data())
            self._locator.BuildLocator()
        return self._locator

    def _open_window(self, camera: Camera) -> tuple[vtkRenderWindow, vtkRenderer]:
        if self._window is not None and self._renderer is not None:
            return self._window, self._renderer
        # Read when VTK's OpenGL module is loaded: without it VTK first looks
        # for an X server and complains. An administrator's own choice stands.
        os.environ.setdefault(WINDOW_VARIABLE, EGL_WINDOW)
        import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (registers the classes that draw)
        from vtkmodules.vtkRenderingCore import (
            vtkActor,
            vtkLight,
            vtkPolyDataMapper,
            vtkRenderer,
            vtkRenderWindow,
        )

        mapper = vtkPolyDataMapper()
        mapper.SetInputData(self._drawn_data())
        actor = vtkActor()
        actor.SetMapper(mapper)
        appearance = actor.GetProperty()
        if self._texture is None:
            appearance.SetColor(*(channel / 255 for channel in NEUTRAL_SKIN))
        else:
            actor.SetTexture(laid_over(self._texture.pixels))
        appearance.SetInterpolationToPhong()
        appearance.SetAmbient(self._ambient)
        appearance.SetDiffuse(1 - self._ambient)
        appearance.SetSpecular(0.06)
        appearance.SetSpecularPower(12)
        appearance.SetLighting(self._shaded)

        renderer = vtkRenderer()
        renderer.SetBackground(*(channel / 255 for channel in self._background))
        renderer.AddActor(actor)
        light = vtkLight()
        light.SetLightTypeToHeadlight()
        renderer.AutomaticLightCreationOff()
        renderer.AddLight(light)

        window = vtkRenderWindow()
        window.SetOffScreenRendering(True)
        window.SetMultiSamples(self._multisamples)
        window.SetSize(camera.width_px, camera.height_px)
        window.AddRenderer(renderer)
        self._window, self._renderer = window, renderer
        return window, renderer


def _as_poly_data(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> vtkPolyData:
    from vtkmodules.util import numpy_support
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    support: Any = numpy_support  # carries no types
    points = vtkPoints()
    points.SetData(support.numpy_to_vtk(vertices, deep=True))
    cells = vtkCellArray()
    cells.SetData(3, support.numpy_to_vtkIdTypeArray(triangles.ravel(), deep=True))
    mesh = vtkPolyData()
    mesh.SetPoints(points)
    mesh.SetPolys(cells)
    return mesh


def _check_mesh(
    vertices: NDArray[np.float64],
    triangles: NDArray[np.int64],
    colours: NDArray[np.uint8] | None,
) -> None:
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not len(vertices):
        raise ValueError(f"vertices have shape {vertices.shape}; (n, 3) with n > 0 is needed")
    if triangles.ndim != 2 or triangles.shape[1] != 3 or not len(triangles):
        raise ValueError(f"triangles have shape {triangles.shape}; (m, 3) with m > 0 is needed")
    if not np.isfinite(vertices).all():
        raise ValueError("a vertex has a coordinate that is not a finite number")
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise ValueError(f"a triangle names a vertex that is not in 0..{len(vertices) - 1}")
    if colours is not None and colours.shape != vertices.shape:
        raise ValueError(f"colours have shape {colours.shape}; {vertices.shape} is needed")


def _check_beside(
    vertices: NDArray[np.float64],
    triangles: NDArray[np.int64],
    normals: NDArray[np.float64] | None,
    texture: Texture | None,
) -> None:
    if normals is not None and normals.shape != vertices.shape:
        raise ValueError(f"normals have shape {normals.shape}; {vertices.shape} is needed")
    if texture is None:
        return
    if texture.corners.shape != (len(triangles), 3, 2):
        raise ValueError(
            f"the texture's corners have shape {texture.corners.shape}; "
            f"{(len(triangles), 3, 2)} is needed"
        )
    if texture.pixels.ndim != 3 or texture.pixels.shape[2] != 3 or not texture.pixels.size:
        raise ValueError(f"the texture's pixels have shape {texture.pixels.shape}")


def _window_pixels(window: vtkRenderWindow) -> NDArray[np.uint8]:
    from vtkmodules.util import numpy_support
    from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    grab.ShouldRerenderOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    support: Any = numpy_support  # carries no types
    flat: NDArray[np.uint8] = support.vtk_to_numpy(image.GetPointData().GetScalars())
    return flat.reshape(height, width, 3)[::-1].copy()
